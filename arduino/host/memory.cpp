// Non-volatile memory of the host build: a file named by HOST_NVM_FILE. Without one, every start finds it unwritten.
#include <stdio.h>

#include "HostBoard.h"

#if defined(ARDUINO_ARCH_ESP32)
#include "Preferences.h"
#else
#include "EEPROM.h"
#endif

namespace {

// HOST_NVM_BROKEN=1: what is written does not stay.
bool storeFile(const uint8_t *bytes, size_t size) {
  const char *path = host::text("HOST_NVM_FILE");
  if (host::number("HOST_NVM_BROKEN", 0) != 0) {
    return false;
  }
  if (path == nullptr) {
    return true;
  }
  FILE *file = fopen(path, "wb");
  if (file == nullptr) {
    perror("HOST_NVM_FILE");
    return false;
  }
  const bool written = fwrite(bytes, 1, size, file) == size;
  return fclose(file) == 0 && written;
}

size_t loadFile(uint8_t *bytes, size_t size) {
  const char *path = host::text("HOST_NVM_FILE");
  FILE *file = path != nullptr ? fopen(path, "rb") : nullptr;
  if (file == nullptr) {
    return 0;
  }
  const size_t got = fread(bytes, 1, size, file);
  fclose(file);
  return got;
}

}  // namespace

#if defined(ARDUINO_ARCH_ESP32)

bool Preferences::begin(const char *, bool) { return true; }
void Preferences::end() {}

uint32_t Preferences::getUInt(const char *, uint32_t fallback) {
  uint8_t bytes[4];
  return loadFile(bytes, 4) == 4
             ? bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24
             : fallback;
}

size_t Preferences::putUInt(const char *, uint32_t value) {
  const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
  return storeFile(bytes, sizeof(bytes)) ? sizeof(bytes) : 0;
}

#else

EEPROMClass EEPROM;

void EEPROMClass::read(int address, uint8_t *bytes, size_t size) {
  if (!loaded_) {
    memset(bytes_, 0xff, sizeof(bytes_));
    loadFile(bytes_, sizeof(bytes_));
    loaded_ = true;
  }
  memcpy(bytes, bytes_ + address, size);
}

#if defined(ESP8266)

void EEPROMClass::begin(size_t) { loaded_ = false; }
bool EEPROMClass::commit() { return storeFile(bytes_, sizeof(bytes_)); }
void EEPROMClass::write(int address, const uint8_t *bytes, size_t size) { memcpy(bytes_ + address, bytes, size); }

#else

void EEPROMClass::write(int address, const uint8_t *bytes, size_t size) {
  memcpy(bytes_ + address, bytes, size);
  loaded_ = storeFile(bytes_, sizeof(bytes_));  // what failed is read again as it was
}

#endif
#endif
