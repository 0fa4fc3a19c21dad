// Clock, ADC, serial line and radio of the host build.
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "Arduino.h"
#include "HostBoard.h"
#include "WiFiTypes.h"

namespace host {

static uint64_t virtualUs = 0;
static uint64_t sent = 0;

const char *text(const char *name) {
  const char *value = getenv(name);
  return value != nullptr && value[0] != '\0' ? value : nullptr;
}

uint64_t number(const char *name, uint64_t fallback) {
  const char *value = text(name);
  if (value == nullptr) {
    return fallback;
  }
  char *end = nullptr;
  errno = 0;
  const unsigned long long parsed = strtoull(value, &end, 10);
  if (errno != 0 || *end != '\0' || value[0] == '-') {
    fprintf(stderr, "%s: expected a whole number, got \"%s\"\n", name, value);
    exit(2);
  }
  return parsed;
}

bool clockIsVirtual() {
  static const bool isVirtual = number("HOST_VIRTUAL_CLOCK", 0) != 0;
  return isVirtual;
}

static uint64_t monotonicMicros() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

uint64_t nowMicros() {
  if (clockIsVirtual()) {
    return virtualUs;
  }
  static const uint64_t startedAt = monotonicMicros();
  return monotonicMicros() - startedAt;
}

void advanceVirtualMicros(uint64_t us) {
  const uint64_t until = virtualUs + us;
  uint64_t at = 0;
  while (fireTimerDueBy(until, &at)) {
    virtualUs = at > virtualUs ? at : virtualUs;
    fireTimer();
  }
  virtualUs = until;
}

uint64_t datagramsSent() { return sent; }
void countDatagram() { sent++; }

Radio &radio() {
  static Radio instance;
  return instance;
}

void Radio::begin() {
  attempts_++;
  attempted_ = true;
  attemptedAtUs_ = nowMicros();
  refused_ = attempts_ <= number("HOST_WIFI_REFUSED_ATTEMPTS", 0);
}

void Radio::disconnect() { attempted_ = false; }

bool Radio::connected() const {
  static const uint64_t connectUs = number("HOST_WIFI_CONNECT_MS", 50) * 1000;
  static const uint64_t dropFromUs = number("HOST_WIFI_DROP_AT_MS", UINT64_MAX / 2000) * 1000;
  static const uint64_t dropUntilUs = dropFromUs + number("HOST_WIFI_DROP_MS", 0) * 1000;
  const uint64_t now = nowMicros();
  // A dropped link stays down until a begin() after the drop: nothing here reconnects by itself.
  const bool dropped = attemptedAtUs_ < dropUntilUs && now >= dropFromUs;
  return attempted_ && !refused_ && !dropped && now >= attemptedAtUs_ + connectUs;
}

int Radio::status() const {
  if (connected()) {
    return WL_CONNECTED;
  }
  return refused_ ? WL_CONNECT_FAILED : WL_DISCONNECTED;
}

}  // namespace host

static uint64_t boardMicros() {
  static const uint64_t startUs = (host::number("HOST_START_MILLIS", 0) & UINT32_MAX) * 1000;
  return startUs + host::nowMicros();
}

uint32_t millis() { return (uint32_t)(boardMicros() / 1000); }

uint32_t micros() { return (uint32_t)boardMicros(); }

void delay(uint32_t ms) {
  if (host::clockIsVirtual()) {
    host::advanceVirtualMicros((uint64_t)ms * 1000);
    return;
  }
  timespec rest = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000L};
  while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {
  }
}

static int adcBits = 10;

#if !defined(ESP8266)
void analogReadResolution(int bits) { adcBits = bits; }
#endif

// Channels are numbered by the order in which their pins are first read. Channel 0 counts its own reads, modulo the
// ADC's range: a lost, doubled or misplaced sample shows. The others are known functions of that number.
int analogRead(uint8_t pin) {
  static uint8_t pins[256];
  static size_t known = 0;
  static uint32_t reads = 0;
  size_t channel = 0;
  while (channel < known && pins[channel] != pin) {
    channel++;
  }
  if (channel == known) {
    pins[known++] = pin;
  }
  if (channel == 0) {
    reads++;
  }
  const uint32_t sample = reads - 1;
  const uint32_t value = channel == 0 ? sample : sample * (2 * (uint32_t)channel + 1) + 97 * (uint32_t)channel;
  return (int)(value & ((1U << adcBits) - 1));
}

HostSerial Serial;

void HostSerial::begin(unsigned long baud) { printf("serial %lu baud\n", baud); }
size_t HostSerial::print(const char *text) { return (size_t)printf("%s", text); }
size_t HostSerial::println(const char *text) { return (size_t)printf("%s\n", text); }
size_t HostSerial::print(const IPAddress &address) {
  return (size_t)printf("%d.%d.%d.%d", address[0], address[1], address[2], address[3]);
}
size_t HostSerial::println(const IPAddress &address) { return print(address) + (size_t)printf("\n"); }
