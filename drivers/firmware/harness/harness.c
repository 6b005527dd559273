/* An ATmega328P in software (libsimavr) that runs node.elf in real time behind a pseudo-terminal.

   UART0 is the terminal, at 115200 baud in both directions. Every edge of ENABLE and MOVING (and of the servo pins with
   --pulses), and begin and end of every frame that the chip is given (FRAME), goes to a CSV with CLOCK_MONOTONIC and the
   chip's own cycle: what the pins did, whatever the host believes. Where this computer is slower than the chip, the
   chip's time stands still; times between two rows are therefore taken from the cycles.
   Lines on standard input act on the board:
       stop, release    open and close the stop button's contact
       hang             the program stands still where it is, interrupts or not, until the watchdog resets it
       power            off and on again: RAM is lost, EEPROM is kept
   A test tool that is never shipped with a device: libsimavr is under the GPL, this file under the project's licence. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdarg.h>
#include <signal.h>
#include <simavr/avr_ioport.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define FREQUENCY 16000000u
#define CYCLES_PER_BYTE (FREQUENCY / 115200u * 10u)
#define SLICE_CYCLES (FREQUENCY / 4000u)
#define LONGEST_LAG_S 0.01
#define LINGER_S 0.3 /* like a device with a plug of its own it outlives its host */
#define LONGEST_LINGER_S 3.0
#define STOP_PIN 2
#define DDRB_AT 0x24
#define PORTB_AT 0x25
#define DDRD_AT 0x2A
#define PORTD_AT 0x2B
#define SRAM_AT 0x100
#define JUMP_TO_ITSELF 0xCFFF

static avr_t *avr;
static FILE *trace;
static int master;
static int has_pulses, is_stop_open, is_listening = 1;
static void (*reset_core)(avr_t *);
static volatile sig_atomic_t is_ending;
static uint8_t to_device[65536], from_device[4096];
static size_t n_to_device, taken, n_from_device;
static avr_flashaddr_t hung_at;
static int is_hung;
static uint8_t hung_over[2];

struct pin {
    const char *name;
    uint16_t ddr_at, port_at;
    uint8_t bit;
    int level;
};
static struct pin pins[] = {
    {"ENABLE", DDRB_AT, PORTB_AT, 0, 0}, {"MOVING", DDRB_AT, PORTB_AT, 5, 0}, {"SERVO0", DDRD_AT, PORTD_AT, 4, 0},
    {"SERVO1", DDRD_AT, PORTD_AT, 5, 0}, {"SERVO2", DDRD_AT, PORTD_AT, 6, 0}, {"SERVO3", DDRD_AT, PORTD_AT, 7, 0},
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void say(const char *what, int level)
{
    if (trace)
        fprintf(trace, "%.6f,%llu,%s,%d\n", now_s(), (unsigned long long)avr->cycle, what, level);
}

/* A pin that is no output is pulled down from outside. */
static void look_at_pins(void)
{
    size_t n = has_pulses ? sizeof pins / sizeof *pins : 2;
    for (size_t i = 0; i < n; i++) {
        int level = avr->data[pins[i].ddr_at] & avr->data[pins[i].port_at] & 1 << pins[i].bit ? 1 : 0;
        if (level != pins[i].level)
            say(pins[i].name, level);
        pins[i].level = level;
    }
}

static void port_changed(avr_irq_t *irq, uint32_t value, void *parameter)
{
    (void)irq, (void)value, (void)parameter;
    look_at_pins();
}

static void set_stop(int is_open)
{
    avr_ioport_external_t outside = {.name = 'D', .mask = 1 << STOP_PIN, .value = (unsigned long)is_open << STOP_PIN};
    is_stop_open = is_open;
    avr_ioctl(avr, AVR_IOCTL_IOPORT_SET_EXTERNAL('D'), &outside); /* wins over the pin's own pull-up */
    avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('D'), STOP_PIN), (uint32_t)is_open);
}

static void heard(avr_irq_t *irq, uint32_t value, void *parameter)
{
    (void)irq, (void)parameter;
    if (n_from_device < sizeof from_device)
        from_device[n_from_device++] = (uint8_t)value;
}

static void uart_full(avr_irq_t *irq, uint32_t value, void *is_full)
{
    (void)irq, (void)value;
    is_listening = !is_full;
}

static avr_cycle_count_t deliver(avr_t *device, avr_cycle_count_t when, void *parameter)
{
    (void)device, (void)parameter;
    static int is_inside;
    if (taken < n_to_device && is_listening) {
        uint8_t byte = to_device[taken++];
        if (is_inside != (byte != 0))
            say("FRAME", byte != 0);
        is_inside = byte != 0;
        avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT), byte);
    }
    return when + CYCLES_PER_BYTE;
}

static void chip_reset(avr_t *device)
{
    if (reset_core)
        reset_core(device);
    if (is_hung)
        memcpy(avr->flash + hung_at, hung_over, 2);
    is_hung = 0;
    avr_cycle_timer_register(avr, CYCLES_PER_BYTE, deliver, NULL); /* a reset forgets the timers */
    say("RESET", 0);
    look_at_pins();
}

static void hang(void)
{
    if (is_hung)
        return;
    is_hung = 1;
    hung_at = avr->pc;
    memcpy(hung_over, avr->flash + hung_at, 2);
    avr->flash[hung_at] = JUMP_TO_ITSELF & 0xFF;
    avr->flash[hung_at + 1] = JUMP_TO_ITSELF >> 8;
}

static void wire_up(void)
{
    uint32_t none = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &none);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), heard, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON), uart_full, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF), uart_full, &master);
    for (const char *port = "BD"; *port; port++) {
        avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(*port), IOPORT_IRQ_PIN_ALL), port_changed, NULL);
        avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(*port), IOPORT_IRQ_DIRECTION_ALL), port_changed,
                                NULL);
    }
}

static void switch_on(void)
{
    for (uint32_t at = SRAM_AT; at <= avr->ramend; at++)
        avr->data[at] = (uint8_t)rand();
    avr_reset(avr);
    avr_regbit_setto(avr, avr->reset_flags.porf, 1);
    set_stop(is_stop_open);
}

static void obey(const char *line)
{
    if (strcmp(line, "stop") == 0 || strcmp(line, "release") == 0) {
        say("STOP", line[0] == 's');
        set_stop(line[0] == 's');
    } else if (strcmp(line, "hang") == 0) {
        say("HANG", 1);
        hang();
    } else if (strcmp(line, "power") == 0) {
        say("POWER", 1);
        switch_on();
    } else {
        fprintf(stderr, "harness: no command '%s'\n", line);
    }
}

static const struct timespec AT_ONCE = {0, 0}, NEXT_SLICE = {0, 500000};

/* Wait for bytes and for commands, and take them in; true when the host has said something. */
static int listen_to(int *has_commands, const struct timespec *wait)
{
    static char line[64];
    static size_t n_line;
    struct pollfd ready[2] = {{.fd = master, .events = POLLIN}, {.fd = *has_commands ? 0 : -1, .events = POLLIN}};
    if (ppoll(ready, 2, wait, NULL) <= 0)
        return 0;
    if (ready[1].revents) {
        char c;
        ssize_t n;
        if ((n = read(0, &c, 1)) <= 0)
            *has_commands = 0;
        else if (c == '\n')
            line[n_line] = 0, n_line = 0, obey(line);
        else if (n_line < sizeof line - 1)
            line[n_line++] = c;
        if (*has_commands && c != '\n')
            listen_to(has_commands, &AT_ONCE);
    }
    if (!(ready[0].revents & POLLIN))
        return 0;
    memmove(to_device, to_device + taken, n_to_device - taken);
    n_to_device -= taken;
    taken = 0;
    ssize_t n = read(master, to_device + n_to_device, sizeof to_device - n_to_device);
    if (n > 0)
        n_to_device += (size_t)n;
    return n > 0;
}

static void speak(void)
{
    if (n_from_device && write(master, from_device, n_from_device) < 0 && errno != EAGAIN)
        perror("harness: terminal");
    if (trace)
        fflush(trace);
    n_from_device = 0; /* what nobody reads is lost, as on a wire */
}

static void run(void)
{
    int has_commands = 1;
    double begin_s = now_s(), start_s = begin_s, heard_s = start_s, asked_s = 0.0, lost_s = 0.0;
    avr_cycle_count_t start = avr->cycle;
    for (;;) {
        if (listen_to(&has_commands, &NEXT_SLICE))
            heard_s = now_s();
        double time_s = now_s();
        asked_s = is_ending ? (asked_s > 0.0 ? asked_s : time_s) : 0.0;
        if (is_ending && (time_s - heard_s > LINGER_S || time_s - asked_s > LONGEST_LINGER_S))
            break;
        double lag_s = (time_s - start_s) - (double)(avr->cycle - start) / FREQUENCY;
        if (lag_s > LONGEST_LAG_S) { /* this computer is late: the chip's time stood still, it does not run after */
            start_s += lag_s;
            lost_s += lag_s;
        }
        avr_cycle_count_t until = start + (avr_cycle_count_t)((now_s() - start_s) * FREQUENCY);
        while (avr->cycle < until) {
            int state = avr_run(avr);
            if (state == cpu_Done || state == cpu_Crashed) {
                fprintf(stderr, "harness: the program crashed at %x\n", avr->pc);
                exit(1);
            }
        }
        speak();
    }
    fprintf(stderr, "the chip's time stood still for %.0f of %.0f ms\n", 1e3 * lost_s, 1e3 * (now_s() - begin_s));
}

static void say_nothing(avr_t *device, const int level, const char *format, va_list values)
{
    (void)device, (void)level, (void)format, (void)values;
}

static void do_not_sleep(avr_t *device, avr_cycle_count_t cycles)
{
    (void)device, (void)cycles; /* the loop in `run` keeps the time */
}

static void end(int number)
{
    (void)number;
    is_ending = 1;
}

static void announce(const char *path, int slave)
{
    char part[4096];
    snprintf(part, sizeof part, "%s.part", path);
    FILE *file = fopen(part, "w");
    if (!file || fprintf(file, "%s", ttyname(slave)) < 0 || fclose(file) || rename(part, path)) {
        perror(path);
        exit(1);
    }
}

int main(int n_arguments, char **arguments)
{
    const char *program = NULL, *ready = NULL, *trace_path = NULL;
    elf_firmware_t firmware = {0};
    int slave;
    for (int i = 1; i < n_arguments; i++) {
        if (strcmp(arguments[i], "--ready") == 0 && i + 1 < n_arguments)
            ready = arguments[++i];
        else if (strcmp(arguments[i], "--trace") == 0 && i + 1 < n_arguments)
            trace_path = arguments[++i];
        else if (strcmp(arguments[i], "--pulses") == 0)
            has_pulses = 1;
        else
            program = arguments[i];
    }
    if (!program || !ready || elf_read_firmware(program, &firmware)) {
        fprintf(stderr, "usage: harness --ready FILE [--trace FILE] [--pulses] node.elf\n");
        return 2;
    }
    if (trace_path && !(trace = fopen(trace_path, "w"))) {
        perror(trace_path);
        return 1;
    }
    if (trace)
        fprintf(trace, "stamp_s,cycle,pin,level\n");
    signal(SIGTERM, end);
    signal(SIGINT, end);
    if (openpty(&master, &slave, NULL, NULL, NULL)) {
        perror("harness: pseudo-terminal");
        return 1;
    }
    struct termios mode;
    tcgetattr(slave, &mode);
    cfmakeraw(&mode);
    tcsetattr(slave, TCSANOW, &mode);
    fcntl(master, F_SETFL, O_NONBLOCK);

    avr_global_logger_set(say_nothing);
    avr = avr_make_mcu_by_name("atmega328p");
    avr_init(avr);
    firmware.frequency = FREQUENCY;
    avr_load_firmware(avr, &firmware);
    avr->run_cycle_limit = SLICE_CYCLES;
    avr->sleep = do_not_sleep;
    reset_core = avr->reset;
    avr->reset = chip_reset;
    wire_up();
    switch_on();
    announce(ready, slave);
    run();
    return 0;
}
