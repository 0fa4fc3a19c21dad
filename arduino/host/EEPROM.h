// The EEPROM, or what imitates it in flash, of the UNO R4 and the ESP8266; kept in the file HOST_NVM_FILE.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

class EEPROMClass {
 public:
#if defined(ESP8266)
  void begin(size_t size);  // reads the flash; put() changes the copy in memory until commit()
  bool commit();
#endif

  template <typename T>
  T &get(int address, T &value) {
    uint8_t bytes[sizeof(T)];
    read(address, bytes, sizeof(T));
    memcpy(&value, bytes, sizeof(T));
    return value;
  }

  template <typename T>
  const T &put(int address, const T &value) {
    uint8_t bytes[sizeof(T)];
    memcpy(bytes, &value, sizeof(T));
    write(address, bytes, sizeof(T));
    return value;
  }

 private:
  void read(int address, uint8_t *bytes, size_t size);
  void write(int address, const uint8_t *bytes, size_t size);

  static const size_t SIZE = 64;
  uint8_t bytes_[SIZE];
  bool loaded_ = false;
};

extern EEPROMClass EEPROM;
