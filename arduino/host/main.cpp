// Runs the sketch as a board would: setup() once, loop() for ever, or for HOST_RUN_MS or HOST_MAX_DATAGRAMS.
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "Arduino.h"
#include "HostBoard.h"

static volatile sig_atomic_t stopRequested = 0;

static void requestStop(int) { stopRequested = 1; }

// A board polls without a pause. The host gives its core away between two turns; on the virtual clock a turn takes
// 37 us, which divides no usual sampling period.
static void betweenTurns() {
  if (host::clockIsVirtual()) {
    host::advanceVirtualMicros(37);
    return;
  }
  const timespec rest = {0, 100000};
  nanosleep(&rest, nullptr);
}

int main() {
  signal(SIGINT, requestStop);
  signal(SIGTERM, requestStop);
  setvbuf(stdout, nullptr, _IOLBF, 0);
  const uint64_t runUs = host::number("HOST_RUN_MS", UINT64_MAX / 1000) * 1000;
  const uint64_t maxDatagrams = host::number("HOST_MAX_DATAGRAMS", UINT64_MAX);
  const uint64_t stallAtUs = host::number("HOST_STALL_AT_MS", UINT64_MAX / 1000) * 1000;
  bool stalled = false;
  host::nowMicros();
  setup();
  while (stopRequested == 0 && host::nowMicros() < runUs && host::datagramsSent() < maxDatagrams) {
    loop();
    betweenTurns();
    if (!stalled && host::nowMicros() >= stallAtUs) {
      stalled = true;
      delay((uint32_t)host::number("HOST_STALL_MS", 0));
    }
  }
  host::stopTimer();
  fflush(stdout);
  return 0;
}
