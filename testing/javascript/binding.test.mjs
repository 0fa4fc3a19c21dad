// binding.js shows this browser's binding to the app's own server, and to nobody else.
import assert from "node:assert/strict";
import { test } from "node:test";

import { run } from "./scripts.mjs";

const page = ({ binding = "b1", status = 204 } = {}) => {
  const opened = [], headers = [], replaced = [], asked = [];
  class WebSocket {
    constructor(url, protocols) {
      this.listeners = {};
      opened.push([String(url), protocols]);
    }
    addEventListener(name, heard) { this.listeners[name] = heard; }
  }
  class XMLHttpRequest {
    open(method, url) { this.url = url; }
    setRequestHeader(name, value) { headers.push([this.url, name, value]); }
    send() {}
  }
  const location = {
    href: "https://semg.example/Live?x=1", host: "semg.example", pathname: "/Live", search: "?x=1",
    replace: (where) => replaced.push(where),
  };
  const context = {
    URL, XMLHttpRequest, location, encodeURIComponent,
    localStorage: { getItem: () => binding },
    fetch: async (...request) => { asked.push(request); return { status }; },
    window: { WebSocket },
  };
  run("gate/assets/binding.js", context);
  return { context, opened, headers, replaced, asked };
};

const plain = (value) => JSON.parse(JSON.stringify(value));

test("the app's WebSocket shows the binding, others do not", () => {
  const { context, opened } = page();
  const Socket = context.window.WebSocket;
  new Socket("/_stcore/stream", ["streamlit", "x"]);
  new Socket("wss://elsewhere.example/_stcore/stream", "streamlit");
  new Socket("wss://semg.example/ws/live/21", ["semg.v1"]);
  new Socket("/_stcore/stream");
  assert.deepEqual(plain(opened.map(([, protocols]) => protocols)), [
    ["streamlit", "x", "semg.binding.b1"], "streamlit", ["semg.v1"], ["semg.binding.b1"],
  ]);
});

test("uploads to this host show the binding, others do not", () => {
  const { context, headers } = page();
  for (const url of ["/_stcore/upload_file/a", "https://elsewhere.example/_stcore/upload_file/a", "/other"]) {
    const request = new context.XMLHttpRequest();
    request.open("PUT", url);
    request.send();
  }
  assert.deepEqual(headers, [["/_stcore/upload_file/a", "X-Semg-Binding", "b1"]]);
});

for (const [status, where] of [[401, ["/login?next=%2FLive%3Fx%3D1"]], [204, []]]) {
  test(`a connection that ends asks whether the login holds: ${status}`, async () => {
    const { context, replaced, asked } = page({ status });
    const socket = new context.window.WebSocket("/_stcore/stream", []);
    await socket.listeners.close();
    assert.equal(asked[0][0], "/login/state");
    assert.deepEqual(replaced, where);
  });
}

test("a browser without a binding says so instead of nothing", () => {
  const { context, opened } = page({ binding: null });
  new context.window.WebSocket("/_stcore/stream", []);
  assert.deepEqual(plain(opened[0][1]), ["semg.binding.none"]);
});
