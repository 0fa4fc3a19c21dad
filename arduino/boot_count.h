// The boot id: a number in non-volatile memory that grows with every start, so that the server can tell a recorded
// datagram that somebody sends again from a new one.
#pragma once

#include <stdint.h>

#if defined(ARDUINO_ARCH_ESP32)
#include <Preferences.h>
#else
#include <EEPROM.h>
#endif

namespace semg {

#if defined(ARDUINO_ARCH_ESP32)

// `first`: the smallest boot id to give, for a board whose memory was erased. 0: the memory could not be written.
inline uint32_t countBoot(uint32_t first) {
  Preferences memory;
  if (!memory.begin("semg", false)) {
    return 0;
  }
  const uint32_t next = memory.getUInt("boot", 0) + 1;
  const uint32_t boot = next > first ? next : first;
  const bool written = memory.putUInt("boot", boot) == sizeof(boot);
  memory.end();
  return written ? boot : 0;
}

#else

struct StoredBoot {
  uint32_t mark;
  uint32_t boot;
  uint32_t check;  // an unwritten memory, or one cut off while it was written, does not fit
};

const uint32_t BOOT_MARK = 0x53454d47UL;
const int BOOT_ADDRESS = 0;

inline uint32_t countBoot(uint32_t first) {
#if defined(ESP8266)
  EEPROM.begin(2 * sizeof(StoredBoot));
#endif
  // Two places, written in turn: a power cut spoils at most the newer one.
  uint32_t last = 0;
  for (int place = 0; place < 2; place++) {
    StoredBoot stored;
    EEPROM.get(BOOT_ADDRESS + place * (int)sizeof(StoredBoot), stored);
    if (stored.mark == BOOT_MARK && stored.check == ~stored.boot && stored.boot > last) {
      last = stored.boot;
    }
  }
  const uint32_t boot = last + 1 > first ? last + 1 : first;
  const StoredBoot next = {BOOT_MARK, boot, ~boot};
  const int address = BOOT_ADDRESS + (int)(boot % 2) * (int)sizeof(StoredBoot);
  EEPROM.put(address, next);
#if defined(ESP8266)
  if (!EEPROM.commit()) {
    return 0;
  }
#endif
  StoredBoot written;
  EEPROM.get(address, written);
  return written.boot == boot && written.check == ~boot ? boot : 0;
}

#endif

}  // namespace semg
