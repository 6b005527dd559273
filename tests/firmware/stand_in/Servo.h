/* Stands in for Arduino's Servo library, which Debian does not package alone: attached is a high pin. */
#ifndef SERVO_STAND_IN_H
#define SERVO_STAND_IN_H

#include <Arduino.h>

class Servo {
    int pin = -1;

public:
    void attach(int to) {
        pin = to;
        pinMode(pin, OUTPUT);
        digitalWrite(pin, HIGH);
    }
    void detach() {
        digitalWrite(pin, LOW);
        pin = -1;
    }
    bool attached() { return pin >= 0; }
    void writeMicroseconds(int) {}
};

#endif
