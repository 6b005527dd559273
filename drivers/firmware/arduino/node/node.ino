// A device that speaks node/1, for the Arduino IDE: docs/build-a-device.md says how to wire and flash it.
// `bci device firmware FOLDER` puts this sketch together with the core that it needs and a table of axes (axes.h).

#include "flash.h"
#include "node.h"
#include "axes.h"

// What is connected. A pin of -1 is not used, except for the stop button: wire it, or bridge its pin to ground.
const int STOP_PIN = 2;    // stop button to ground, normally closed: open is stop, and so is a broken wire
const int ENABLE_PIN = 8;  // power stage or gate of the MOSFET; with 10 kilohm to ground
const int MOVING_PIN = LED_BUILTIN;
const int SERVO_PINS[] = {4, 5, 6, 7};  // as many as there are axes with pulses
const int SUPPLY_PIN = -1;              // analogue, behind a divider: watches the motors' supply
const float SUPPLY_MV_PER_COUNT = 14.66;   // 5 V / 1023 x 3, for a divider of 20 and 10 kilohm
const unsigned SUPPLY_LEAST_MV = 4500, SUPPLY_MOST_MV = 6500;
#ifndef USE_SERVO
#define USE_SERVO 1  // 0 where no hobby servo is connected
#endif

#if USE_SERVO
#include <Servo.h>
#endif

#if defined(__AVR__)
#include <avr/wdt.h>
#include "memory.h"
#define WATCHDOG_MS 60
static uint8_t reset_flags __attribute__((section(".noinit")));

// Before anything else: a watchdog that has just fired stays on until it is told otherwise. Optiboot clears the flags
// and hands them over in r2; without a bootloader they are still in MCUSR.
extern "C" void keep_reset_flags(void) __attribute__((naked, used, section(".init3")));
void keep_reset_flags(void) {
  asm volatile(
      "in r24, %0\n\t"
      "tst r24\n\t"
      "brne 1f\n\t"
      "mov r24, r2\n"
      "1: sts %1, r24" ::"I"(_SFR_IO_ADDR(MCUSR)), "i"(&reset_flags) : "r24");
  MCUSR = 0;
  wdt_disable();
}
static uint8_t reset_cause() {
  if (reset_flags & _BV(WDRF)) return NODE_RESET_WATCHDOG;
  if (reset_flags & _BV(EXTRF)) return NODE_RESET_EXTERNAL;
  return reset_flags & _BV(BORF) && !(reset_flags & _BV(PORF)) ? NODE_RESET_BROWN_OUT : NODE_RESET_POWER_ON;
}
static bool was_latched() { return memory_is_latched(); }
static void keep_latch(bool is_latched) { memory_keep_latch(is_latched); }
static uint32_t seed() { return memory_count_start() * 0x9E3779B9UL; }
static void start_watchdog() { wdt_enable(WDTO_60MS); }
static void kick_watchdog() { wdt_reset(); }
#elif defined(ARDUINO_ARCH_RP2040) && !defined(ARDUINO_ARCH_MBED)  // the arduino-pico core
#define WATCHDOG_MS 60
static uint8_t reset_cause() { return watchdog_caused_reboot() ? NODE_RESET_WATCHDOG : NODE_RESET_POWER_ON; }
static bool was_latched() { return false; }  // no EEPROM: a stop does not survive power loss
static void keep_latch(bool) {}
static uint32_t seed() { return rp2040.hwrand32(); }
static void start_watchdog() { rp2040.wdt_begin(WATCHDOG_MS); }
static void kick_watchdog() { rp2040.wdt_reset(); }
#else  // neither watchdog nor memory: the device says so in HELLO_ACK
#define WATCHDOG_MS 0
static uint8_t reset_cause() { return NODE_RESET_POWER_ON; }
static bool was_latched() { return false; }
static void keep_latch(bool) {}
static uint32_t seed() { return micros() ^ (uint32_t)analogRead(A0) << 16; }
static void start_watchdog() {}
static void kick_watchdog() {}
#endif

static const uint8_t N_AXES = sizeof AXES / sizeof AXES[0];
static const uint8_t N_SERVOS = N_AXES < 4 ? N_AXES : 4;
static struct node node;
static uint32_t ticked_ms = 1;
#if USE_SERVO
static Servo servos[N_SERVOS];
#endif

static void set_pins() {
  if (ENABLE_PIN >= 0) digitalWrite(ENABLE_PIN, node.outputs.is_powered ? HIGH : LOW);
  if (MOVING_PIN >= 0) digitalWrite(MOVING_PIN, node.outputs.is_moving ? HIGH : LOW);
#if USE_SERVO
  if (!node.outputs.is_powered)
    for (uint8_t i = 0; i < N_SERVOS; i++)
      if (servos[i].attached()) servos[i].detach();
#endif
}

static void set_servos() {
#if USE_SERVO
  for (uint8_t i = 0; i < N_SERVOS; i++) {
    uint16_t width_us = node_pulse_us(&node, i);
    if (width_us == 0) continue;
    servos[i].writeMicroseconds(width_us);  // before attach: the first pulse is already the right one
    if (!servos[i].attached()) servos[i].attach(SERVO_PINS[i]);
  }
#endif
}

static void look_at_supply() {
  if (SUPPLY_PIN < 0) return;
  node.inputs.supply_mv = (uint16_t)(analogRead(SUPPLY_PIN) * SUPPLY_MV_PER_COUNT);
  bool is_good = node.inputs.supply_mv >= SUPPLY_LEAST_MV && node.inputs.supply_mv <= SUPPLY_MOST_MV;
  node.inputs.faults = is_good || !node.outputs.is_powered ? 0 : NODE_FAULT_SUPPLY;
}

static void tick(uint32_t now_ms) {
  static uint32_t last_ms;
  node.inputs.is_stop_open = digitalRead(STOP_PIN) == HIGH;
  node_tick(&node, now_ms);
  set_pins();
  if (now_ms - last_ms >= 20) {
    last_ms = now_ms;
    set_servos();
    look_at_supply();
  }
  keep_latch(node.outputs.is_latched);
  kick_watchdog();  // only here, after the lease was evaluated
}

void setup() {
  if (ENABLE_PIN >= 0) {
    digitalWrite(ENABLE_PIN, LOW);
    pinMode(ENABLE_PIN, OUTPUT);
  }
  if (MOVING_PIN >= 0) pinMode(MOVING_PIN, OUTPUT);
  pinMode(STOP_PIN, INPUT_PULLUP);
  Serial.begin(115200);
  struct node_board board = {AXES, N_AXES, IS_RELAY, WATCHDOG_MS};
  node_init(&node, &board, seed(), reset_cause(), was_latched());
  start_watchdog();
}

void loop() {
  uint32_t now_ms = millis() + 1;
  if (now_ms != ticked_ms) tick(ticked_ms = now_ms);
  if (Serial.available() > 0 && node_feed(&node, (uint8_t)Serial.read())) {
    set_pins();  // stop before you answer
    node_answer(&node);
  }
  uint8_t byte;
  while (Serial.availableForWrite() > 0 && ring_take(&node.sending, &byte)) Serial.write(byte);
}
