// The part of the Arduino core that the sketch uses, on a POSIX host.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "IPAddress.h"

const uint8_t A0 = 14, A1 = 15, A2 = 16, A3 = 17, A4 = 18, A5 = 19;

// 32 bits wide, as on the boards: the host's own `unsigned long` would never wrap.
uint32_t millis();
uint32_t micros();
void delay(uint32_t ms);
int analogRead(uint8_t pin);
#if !defined(ESP8266)  // its ADC has 10 bits and no choice
void analogReadResolution(int bits);
#endif

class HostSerial {
 public:
  void begin(unsigned long baud);
  size_t print(const char *text);
  size_t print(const IPAddress &address);
  size_t println(const char *text);
  size_t println(const IPAddress &address);
};

extern HostSerial Serial;

void setup();
void loop();
