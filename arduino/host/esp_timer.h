// ESP32's timer of the ESP-IDF: one-shot, its callback in a task of its own.
#pragma once

#include <stdint.h>

typedef int esp_err_t;
const esp_err_t ESP_OK = 0;
const esp_err_t ESP_ERR_INVALID_STATE = 0x103;

enum esp_timer_dispatch_t { ESP_TIMER_TASK };
typedef void (*esp_timer_cb_t)(void *arg);

struct esp_timer_create_args_t {
  esp_timer_cb_t callback;
  void *arg;
  esp_timer_dispatch_t dispatch_method;
  const char *name;
  bool skip_unhandled_events;
};

struct esp_timer;
typedef esp_timer *esp_timer_handle_t;

esp_err_t esp_timer_create(const esp_timer_create_args_t *arguments, esp_timer_handle_t *handle);
esp_err_t esp_timer_start_once(esp_timer_handle_t handle, uint64_t timeout_us);
