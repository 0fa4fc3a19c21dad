// A cookie is shared by every port of a host; what lies in this origin's storage is not. Whatever opens the app's
// WebSocket, or sends a file, shows both: the cookie, and the binding from here.
(() => {
  "use strict";
  const binding = localStorage.getItem("semg-binding") || "none";
  const here = (url) => new URL(url, location.href).host === location.host;

  const toLogin = () => {
    const next = encodeURIComponent(location.pathname + location.search);
    location.replace(`/login?next=${next}`);
  };
  const check = async () => {
    try {
      const answer = await fetch("/login/state", { headers: { "X-Semg-Binding": binding }, cache: "no-store" });
      if (answer.status === 401) toLogin();
    } catch {
      // The server is away; Streamlit says so, and tries again.
    }
  };

  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(url, protocols) {
      const target = new URL(url, location.href);
      const isPage = here(target) && target.pathname === "/_stcore/stream";
      super(url, isPage ? [...[protocols ?? []].flat(), `semg.binding.${binding}`] : protocols ?? []);
      if (isPage) this.addEventListener("close", check);
    }
  };

  const { open, send } = XMLHttpRequest.prototype;
  const isUpload = new WeakSet();
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    const target = new URL(url, location.href);
    if (here(target) && target.pathname.startsWith("/_stcore/upload_file/")) isUpload.add(this);
    return open.call(this, method, url, ...rest);
  };
  XMLHttpRequest.prototype.send = function (...body) {
    if (isUpload.has(this)) this.setRequestHeader("X-Semg-Binding", binding);
    return send.apply(this, body);
  };
})();
