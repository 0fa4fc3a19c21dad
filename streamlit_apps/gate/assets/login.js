// The login page, and the page that asks again who somebody is.
"use strict";
const find = (what) => document.querySelector(what);
const binding = () => localStorage.getItem("semg-binding") || "none";
const problem = find("[data-problem]");

const say = (text) => {
  problem.textContent = text;
  problem.hidden = !text;
};

const post = async (path, body) => {
  let answer;
  try {
    answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Semg-Binding": binding() },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("The server does not answer. Try again in a few seconds.");
  }
  const said = (answer.headers.get("Content-Type") || "").includes("json") ? await answer.json() : {};
  if (!answer.ok) throw new Error(said.detail || "That did not work. Try again in a few seconds.");
  return said;
};

const arrive = (said, next) => {
  if (said.binding) localStorage.setItem("semg-binding", said.binding);
  location.replace(next);
};

// Runs the work of a button or a form; shows why it failed.
const attempt = (button, work) => async (event) => {
  event.preventDefault();
  say("");
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    say(error.name === "NotAllowedError" ? "The passkey was not used. Try again, or choose another way." : error.message);
  } finally {
    button.disabled = false;
  }
};

const login = find("#password");
const confirm = find("#confirm");
const next = (login || confirm)?.dataset.next || "/";

if (login) {
  const code = find("#code");
  let handle = "";
  login.addEventListener("submit", attempt(login.querySelector("button"), async () => {
    const said = await post("/login", { login: login.elements.login.value, password: login.elements.password.value });
    login.elements.password.value = "";
    if (said.binding) return arrive(said, next);
    handle = said.handle;
    login.hidden = true;
    code.hidden = false;
    code.elements.code.focus();
  }));
  code.addEventListener("submit", attempt(code.querySelector("button"), async () => {
    arrive(await post("/login/code", { handle, code: code.elements.code.value }), next);
  }));
  find("[data-back]").addEventListener("click", () => {
    say("");
    code.hidden = true;
    login.hidden = false;
  });
  // Whoever comes by a link from elsewhere sends no cookie with it, and may be logged in all the same.
  fetch("/login/state", { headers: { "X-Semg-Binding": binding() }, cache: "no-store" })
    .then((answer) => { if (answer.status === 204) location.replace(next); })
    .catch(() => say("The server does not answer. Try again in a few seconds."));
}

if (confirm) {
  // Who is logged in, and by what, is told to pages of this origin only, not to whoever has the cookie.
  post("/login/factors/list", {}).then((known) => {
    find("[data-login]").textContent = known.login;
    find("[data-username]").value = known.login;
    find("[data-code]").hidden = !known.has_app;
    confirm.hidden = !known.has_password;
    if (known.has_password) confirm.elements.password.focus();
    const provider = find("#provider");
    if (provider) provider.hidden = known.has_password;
  }).catch((error) => say(error.message));
  confirm.addEventListener("submit", attempt(confirm.querySelector("button"), async () => {
    const fields = confirm.elements;
    await post("/login/confirm", { password: fields.password.value, code: fields.code.value });
    location.replace(next);
  }));
}

const passkey = find("#passkey");
if (passkey && !window.PublicKeyCredential?.parseRequestOptionsFromJSON) passkey.hidden = true;
passkey?.addEventListener("click", attempt(passkey, async () => {
  const { handle, options } = await post("/login/passkey/options", {});
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const answer = (await navigator.credentials.get({ publicKey })).toJSON();
  if ("confirm" in passkey.dataset) {
    await post("/login/confirm", { handle, answer });
    location.replace(next);
  } else {
    arrive(await post("/login/passkey", { handle, answer }), next);
  }
}));

// What the provider's answer must fit is named by a handle that lies in this origin's storage meanwhile.
const provider = find("#provider");
provider?.addEventListener("click", attempt(provider, async () => {
  const { handle, url } = await post("/login/provider", { next, confirms: "confirm" in provider.dataset });
  localStorage.setItem("semg-provider", handle);
  location.assign(url);
}));

if (find("#arrived")) {
  const handle = localStorage.getItem("semg-provider") || "";
  localStorage.removeItem("semg-provider");
  const query = location.search;
  history.replaceState(null, "", location.pathname);
  post("/login/provider/finish", { handle, query })
    .then((said) => arrive(said, said.next))
    .catch((error) => { find("#arrived").hidden = true; say(error.message); });
}
