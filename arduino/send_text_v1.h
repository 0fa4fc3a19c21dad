// Text v1: a sample is read when the loop finds it due, and is sent at once. A part of arduinocode.ino, which includes
// it after its settings.
#pragma once

// userid (11) + millis (10) + per channel a comma and at most 5 digits, and the terminator
const size_t DATAGRAM_BYTES = 11 + 1 + 10 + CHANNEL_COUNT * 6 + 1;

uint32_t dueMicros = 0;  // when the next sample is to be taken
uint32_t dueMillis = 0;  // the same moment on the millisecond counter: what the datagram says
uint32_t microsRest = 0;
uint32_t millisRest = 0;
char datagram[DATAGRAM_BYTES];

void advanceSchedule();
size_t formatDatagram(uint32_t stampMs);

const char *problem() {
  return haveRemote ? nullptr : "remoteIp is no address: put the server's address, like 192.168.1.10, into setup()";
}

void startSampling() {
  dueMicros = micros();
  dueMillis = millis();
  microsRest = 0;
  millisRest = 0;
}

void sampleAndSend() {
  const uint32_t now = micros();
  if (isPast(now, dueMicros)) {
    // After a stall the missed moments are given up and counted: sending them now would put old stamps on new
    // values. The stamps stay on the grid, so the server sees the gap.
    uint32_t stampMs = dueMillis;
    advanceSchedule();
    while (isPast(now, dueMicros)) {
      stampMs = dueMillis;
      missedCount++;
      advanceSchedule();
    }
    if (online && haveRemote) {
      // One that the radio refuses is not sent again: the next sample is due before a second try would help.
      sendDatagram(datagram, formatDatagram(stampMs));
    }
  }
}

// One period on, on both counters. The rests carry what does not divide (300 Hz: 3333 us and a third), so that
// neither counter drifts from the rate; both wrap by themselves.
void advanceSchedule() {
  dueMicros += 1000000UL / SAMPLE_RATE_HZ;
  microsRest += 1000000UL % SAMPLE_RATE_HZ;
  if (microsRest >= SAMPLE_RATE_HZ) {
    microsRest -= SAMPLE_RATE_HZ;
    dueMicros++;
  }
  dueMillis += 1000UL / SAMPLE_RATE_HZ;
  millisRest += 1000UL % SAMPLE_RATE_HZ;
  if (millisRest >= SAMPLE_RATE_HZ) {
    millisRest -= SAMPLE_RATE_HZ;
    dueMillis++;
  }
}

// Reads the sensors into the datagram and gives its length.
size_t formatDatagram(uint32_t stampMs) {
  size_t length = (size_t)snprintf(datagram, sizeof(datagram), "%d,%lu", USER_ID, (unsigned long)stampMs);
  for (size_t channel = 0; channel < CHANNEL_COUNT; channel++) {
    const unsigned int value = (unsigned int)analogRead(SENSOR_PINS[channel]) & 0xFFFFU;
    length += (size_t)snprintf(datagram + length, sizeof(datagram) - length, ",%u", value);
  }
  return length;
}

void describeLast(char *text, size_t room) { snprintf(text, room, "last %s", datagram); }
