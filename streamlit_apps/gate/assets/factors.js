// The page of second factors.
"use strict";
const find = (what) => document.querySelector(what);
const problem = find("[data-problem]");

const say = (text) => {
  problem.textContent = text;
  problem.hidden = !text;
};

const post = async (path, body = {}) => {
  const answer = await fetch(`/login/factors/${path}`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "X-Semg-Binding": localStorage.getItem("semg-binding") || "none",
    },
    body: JSON.stringify(body),
  });
  const said = (answer.headers.get("Content-Type") || "").includes("json") ? await answer.json() : {};
  if (!answer.ok) throw new Error(said.detail || "That did not work. Try again in a few seconds.");
  return said;
};

const attempt = (work) => async (event) => {
  event?.preventDefault();
  say("");
  try {
    await work(event);
  } catch (error) {
    say(error.name === "NotAllowedError" ? "No passkey was created. Try again." : error.message);
  }
};

const row = (text, act) => {
  const item = document.createElement("li");
  const label = document.createElement("span");
  const button = document.createElement("button");
  label.textContent = text;
  button.textContent = "Remove";
  button.type = "button";
  button.setAttribute("aria-label", `Remove ${text}`);
  button.addEventListener("click", attempt(act));
  item.append(label, button);
  return item;
};

const show = async () => {
  const known = await post("list");
  find("[data-login]").textContent = known.login;
  find("[data-unconfirmed]").hidden = known.is_confirmed;
  find("[data-app]").hidden = !known.has_password;
  find("[data-app-state]").textContent = known.has_app
    ? `An app is set up. ${known.recovery_codes} recovery codes are left.`
    : "No app is set up.";
  find("[data-app-begin]").textContent = known.has_app ? "Replace the app" : "Add an authenticator app";
  find("[data-app-remove]").hidden = !known.has_app;
  find("[data-passkeys]").replaceChildren(...known.passkeys.map((one) => row(
    `${one.name}, for ${one.host}, added ${one.added}${one.used ? `, last used ${one.used}` : ""}`,
    async () => { await post("passkey/remove", { id: one.id }); await show(); },
  )));
};

const fresh = find("[data-app-new]");
let handle = "";
find("[data-app-begin]").addEventListener("click", attempt(async () => {
  const said = await post("app/begin");
  handle = said.handle;
  find("[data-app-picture]").src = said.picture;
  find("[data-app-secret]").textContent = said.secret;
  fresh.hidden = false;
  fresh.elements.code.focus();
}));
fresh.addEventListener("submit", attempt(async () => {
  const said = await post("app/add", { handle, code: fresh.elements.code.value });
  fresh.reset();
  fresh.hidden = true;
  find("[data-recovery-list]").replaceChildren(...said.recovery_codes.map((code) => {
    const item = document.createElement("li");
    const text = document.createElement("code");
    text.textContent = code;
    item.append(text);
    return item;
  }));
  find("[data-recovery]").hidden = false;
  await show();
}));
find("[data-app-remove]").addEventListener("click", attempt(async () => {
  await post("app/remove");
  find("[data-recovery]").hidden = true;
  await show();
}));
find("[data-passkey-new]")?.addEventListener("submit", attempt(async (event) => {
  const { handle: begun, options } = await post("passkey/begin");
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const answer = (await navigator.credentials.create({ publicKey })).toJSON();
  await post("passkey/add", { handle: begun, answer, name: event.target.elements.name.value });
  event.target.reset();
  await show();
}));

attempt(show)();
