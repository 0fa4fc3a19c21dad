// ESP32's key-value store in flash, for the one number that the sketch keeps; in the file HOST_NVM_FILE.
#pragma once

#include <stddef.h>
#include <stdint.h>

class Preferences {
 public:
  bool begin(const char *name, bool readOnly);
  void end();
  uint32_t getUInt(const char *key, uint32_t fallback);
  size_t putUInt(const char *key, uint32_t value);
};
