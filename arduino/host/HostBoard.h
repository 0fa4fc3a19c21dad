// What the host build puts in place of the board: clock, radio, ADC. Configured by environment variables, which
// arduino/README.md lists. Not part of any Arduino library; a sketch never includes it.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace host {

uint64_t nowMicros();               // since the build started, on the real or the virtual clock
void advanceVirtualMicros(uint64_t us);
bool clockIsVirtual();
const char *text(const char *name);  // an environment variable, or nullptr when unset or empty
uint64_t number(const char *name, uint64_t fallback);

// The link to the access point. The board headers put their own library's interface on top of it.
class Radio {
 public:
  void begin();
  void disconnect();
  bool connected() const;
  int status() const;  // a wl_status_t

 private:
  bool attempted_ = false;
  bool refused_ = false;
  uint64_t attempts_ = 0;
  uint64_t attemptedAtUs_ = 0;
};

// The board's one timer. On the real clock the callback runs in a thread of its own.
void setTimer(void (*callback)(void *), void *argument, uint64_t waitNs, double everyNs);  // everyNs 0: one shot
bool fireTimerDueBy(uint64_t untilUs, uint64_t *atUs);  // whether it is due by then, and when
void fireTimer();
void stopTimer();

Radio &radio();
uint64_t datagramsSent();
void countDatagram();

}  // namespace host
