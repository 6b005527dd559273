/* node/1 on a bare ATmega328P at 16 MHz (Uno, Nano, Pro Mini), without the Arduino core.

   PD0 RX, PD1 TX   115200 baud
   PD2 STOP         stop button to ground, normally closed; the pin's own pull-up reads a broken wire as a stop
   PB0 ENABLE       power stage on; needs an external pull-down of 10 kilohm
   PB5 MOVING       some axis has speed: the board's own light
   PD4 to PD7       pulses of hobby servos, axes 0 to 3
*/
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>
#include <util/atomic.h>

#include "flash.h"
#include "memory.h"
#include "node.h"
#include AXES_FILE

#define WATCHDOG_MS 60
#define N_AXES (sizeof AXES / sizeof AXES[0])
#define N_PULSES (N_AXES < 4 ? N_AXES : 4)
#define FRAME_US 20000u
#define SLOT_US 2500u /* each servo's share of a frame; the longest pulse is shorter */

static struct node node;
static struct ring received;
static volatile uint32_t milliseconds = 1;
static volatile uint16_t pulse_us[4];
static uint8_t reset_flags __attribute__((section(".noinit")));

/* Before main: a watchdog that has just fired stays on, at its shortest, until it is told otherwise. */
__attribute__((naked, used, section(".init3"))) static void keep_reset_flags(void)
{
    reset_flags = MCUSR;
    MCUSR = 0;
    wdt_disable();
}

ISR(TIMER0_COMPA_vect)
{
    milliseconds++;
}

ISR(USART_RX_vect)
{
    ring_put(&received, UDR0); /* what finds no room is lost, and its frame fails its checksum */
}

ISR(USART_UDRE_vect)
{
    uint8_t byte;
    if (ring_take(&node.sending, &byte))
        UDR0 = byte;
    else
        UCSR0B &= (uint8_t)~_BV(UDRIE0);
}

/* One servo after the other, so that only one edge falls due at a time: pulse up, pulse down, next slot. */
ISR(TIMER1_COMPA_vect)
{
    static uint8_t slot;
    static uint16_t rest_us;
    uint16_t next_us = pulse_us[slot];
    if (rest_us == 0 && next_us != 0) {
        PORTD |= (uint8_t)_BV(PD4 + slot);
        rest_us = SLOT_US - next_us;
    } else {
        PORTD &= (uint8_t)~_BV(PD4 + slot);
        next_us = rest_us ? rest_us : SLOT_US;
        rest_us = 0;
        if (++slot == N_PULSES) {
            slot = 0;
            next_us += FRAME_US - N_PULSES * SLOT_US;
        }
    }
    OCR1A += 2 * next_us; /* half microseconds */
}

static void start(void)
{
    PORTD = _BV(PD2);
    DDRB = _BV(PB0) | _BV(PB5);
    DDRD = _BV(PD4) | _BV(PD5) | _BV(PD6) | _BV(PD7);

    TCCR0A = _BV(WGM01); /* 16 MHz / 64 / 250: a millisecond */
    TCCR0B = _BV(CS01) | _BV(CS00);
    OCR0A = 249;
    TIMSK0 = _BV(OCIE0A);

    TCCR1B = _BV(CS11); /* 16 MHz / 8: half a microsecond */
    TIMSK1 = _BV(OCIE1A);

    UCSR0A = _BV(U2X0); /* before the divider: the emulator takes the speed from both when the divider is written */
    UBRR0 = 16; /* 115200 at double speed, 2.1 % fast: what the bootloader uses too */
    UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
    UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
}

static uint8_t reset_cause(void)
{
    if (reset_flags & _BV(WDRF))
        return NODE_RESET_WATCHDOG;
    if (reset_flags & _BV(PORF))
        return NODE_RESET_POWER_ON;
    return reset_flags & _BV(BORF) ? NODE_RESET_BROWN_OUT : NODE_RESET_EXTERNAL;
}

static void set_pins(void)
{
    uint8_t pins = 0;
    if (node.outputs.is_powered)
        pins |= _BV(PB0);
    if (node.outputs.is_moving)
        pins |= _BV(PB5);
    PORTB = (uint8_t)((PORTB & ~(_BV(PB0) | _BV(PB5))) | pins);
    if (!node.outputs.is_powered) /* no new pulse begins; one that has begun is not cut short into another position */
        for (uint8_t i = 0; i < N_PULSES; i++)
            ATOMIC_BLOCK(ATOMIC_RESTORESTATE) pulse_us[i] = 0;
}

static void set_pulses(void)
{
    for (uint8_t i = 0; i < N_PULSES; i++) {
        uint16_t width_us = node_pulse_us(&node, i);
        ATOMIC_BLOCK(ATOMIC_RESTORESTATE) pulse_us[i] = width_us;
    }
}

static uint32_t now(void)
{
    uint32_t ms;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) ms = milliseconds;
    return ms;
}

static void answer(void)
{
    set_pins(); /* stop before you answer */
    node_answer(&node);
    UCSR0B |= _BV(UDRIE0);
}

static void tick(uint32_t now_ms)
{
    static uint32_t pulsed_ms;
    node.inputs.is_stop_open = PIND & _BV(PD2);
    node_tick(&node, now_ms);
    set_pins();
    if (now_ms - pulsed_ms >= 20) {
        pulsed_ms = now_ms;
        set_pulses();
    }
    memory_keep_latch(node.outputs.is_latched);
    wdt_reset(); /* only here, after the lease was evaluated */
}

/* Sleep until the next byte or millisecond, unless it came since we looked. */
static void doze(uint32_t now_ms)
{
    cli();
    if (milliseconds == now_ms && ring_is_empty(&received)) {
        sleep_enable();
        sei(); /* takes effect after the next instruction: nothing can come in between */
        sleep_cpu();
        sleep_disable();
    }
    sei();
}

int main(void)
{
    static const struct node_board BOARD = {AXES, N_AXES, IS_RELAY, WATCHDOG_MS};
    uint32_t ticked_ms = 1;
    uint8_t byte;
    start();
    node_init(&node, &BOARD, memory_count_start() * 0x9E3779B9u, reset_cause(), memory_is_latched());
    wdt_enable(WDTO_60MS);
    set_sleep_mode(SLEEP_MODE_IDLE);
    sei();
    for (;;) {
        uint32_t now_ms = now();
        if (now_ms != ticked_ms)
            tick(ticked_ms = now_ms);
        if (ring_take(&received, &byte)) {
            if (node_feed(&node, byte))
                answer();
        } else {
            doze(now_ms);
        }
    }
}
