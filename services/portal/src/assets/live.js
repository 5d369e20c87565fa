// The comments on one post, as they are written. What others wrote goes into the page as text, never as markup.

const PAGE = 50;
const PRESENCE_PERIOD = 5000;
const PATIENCE = 10000;
const FIRST_DELAY = 500;
const LONGEST_DELAY = 15000;
// How long what was missed may take to come, until a comment that was on its way counts as lost.
const REPLAY = 3000;
const DELETED = 1000;
// The sign-in that the socket was opened with has ended.
const SIGNED_OUT = 4401;

const element = (id) => document.getElementById(id);
const postId = new URLSearchParams(location.search).get("post");
const post = encodeURIComponent(postId ?? "");

// Who is signed in: kept while this tab is open.
let me = JSON.parse(sessionStorage.getItem("me"));
let socket = null;
let delay = FIRST_DELAY;
// The comment that was sent and has not come back yet.
let sent = null;
let last = "0";
let earlier = null;
const shown = new Set();
const names = new Map();

function complain(text) {
  element("problem").textContent = text;
}

// Written only when it changes: a screen reader says it each time.
function say(text, lost) {
  const connection = element("connection");
  if (connection.textContent !== text) {
    connection.textContent = text;
  }
  connection.toggleAttribute("data-lost", lost);
}

async function ask(path, options = {}) {
  const headers = { accept: "application/json", ...options.headers };
  return fetch(path, { ...options, headers, signal: AbortSignal.timeout(PATIENCE) });
}

// What an answer says went wrong.
async function problem(answer) {
  const body = await answer.json().catch(() => null);
  return body?.message ?? body?.detail ?? `The answer is ${answer.status}`;
}

async function nameOf(userId) {
  if (!names.has(userId)) {
    const asked = ask(`/api/users/${userId}`)
      .then((answer) => (answer.ok ? answer.json() : null))
      .then((user) => user?.username)
      .catch(() => null);
    names.set(userId, asked);
    asked.then((name) => name ?? names.delete(userId));
  }
  return (await names.get(userId)) ?? `user ${userId}`;
}

// Signing in and out

function showMe() {
  element("login").hidden = Boolean(me);
  element("me").hidden = !me;
  element("name").textContent = me?.username ?? "";
  enable();
}

function setMe(person) {
  me = person;
  if (person) {
    sessionStorage.setItem("me", JSON.stringify(person));
  } else {
    sessionStorage.removeItem("me");
  }
  if (socket) {
    // The next one speaks for whoever is signed in now.
    delay = 0;
    socket.close();
  }
  showMe();
}

async function login(event) {
  event.preventDefault();
  complain("");
  const form = new FormData(element("login"));
  const body = JSON.stringify({ username: form.get("username"), password: form.get("password") });
  try {
    const headers = { "content-type": "application/json" };
    const answer = await ask("/api/users/login", { method: "POST", headers, body });
    if (!answer.ok) {
      complain(await problem(answer));
      return;
    }
    const { token, user_id: id } = await answer.json();
    element("password").value = "";
    setMe({ token, id, username: await nameOf(id) });
  } catch {
    complain("Nobody answers: try again");
  }
}

async function logout() {
  const headers = { authorization: `Bearer ${me.token}` };
  setMe(null);
  await ask("/api/auth/logout", { method: "POST", headers }).catch(() => {});
}

function signedOut(token) {
  if (me && me.token === token) {
    setMe(null);
    complain("You are signed in no more: sign in again to write");
  }
}

// A browser does not tell why a socket was refused: an ended sign-in is the one reason that waiting does not mend.
async function checkMe() {
  const { token } = me;
  const answer = await ask("/auth/validate", { headers: { authorization: `Bearer ${token}` } });
  if (answer.status === 401) {
    signedOut(token);
  }
}

// Comments

function row(comment) {
  const item = document.createElement("li");
  item.dataset.comment = comment.comment_id;
  const [author, time, text] = ["b", "time", "p"].map((name) => document.createElement(name));
  author.textContent = "…";
  nameOf(comment.user_id).then((name) => (author.textContent = name));
  time.dateTime = comment.timestamp;
  time.textContent = new Date(comment.timestamp).toLocaleString();
  text.textContent = comment.comment_text;
  item.append(author, " ", time, text);
  return item;
}

function fresh(comments) {
  return comments.filter(({ comment_id: id }) => !shown.has(id) && shown.add(id));
}

function append(comment) {
  last = comment.comment_id;
  const end = innerHeight + scrollY >= document.body.scrollHeight - 50;
  element("comments").append(...fresh([comment]).map(row));
  if (end) {
    scrollTo(0, document.body.scrollHeight);
  }
}

// The page of comments before those that are shown, newest first in the answer.
async function showEarlier() {
  const answer = await ask(earlier);
  if (!answer.ok) {
    throw new Error(await problem(answer));
  }
  const comments = await answer.json();
  if (shown.size === 0 && comments.length > 0) {
    last = comments[0].comment_id;
  }
  element("comments").prepend(...fresh(comments).reverse().map(row));
  earlier = /<([^>]+)>; *rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
  element("earlier").hidden = !earlier;
}

// The socket

function enable() {
  const open = socket?.readyState === WebSocket.OPEN;
  const ready = Boolean(me) && open && sent === null;
  element("write").querySelector("button").disabled = !ready;
  element("text").disabled = !me;
  element("text").placeholder = me ? "" : "Sign in to write";
}

function heard(frame) {
  if (frame.event === "error") {
    sent = null;
    complain(frame.data.message);
    if (me) {
      checkMe().catch(() => {});
    }
  } else if (frame.comment_id) {
    append(frame);
    if (frame.comment_text === sent && frame.user_id === me?.id) {
      if (element("text").value.trim() === sent) {
        element("text").value = "";
      }
      sent = null;
    }
  }
  enable();
}

function connect() {
  const url = new URL(`/ws/posts/${post}/comments`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.searchParams.set("after", last);
  const token = me?.token;
  const opening = new WebSocket(url, token ? ["bearer", token] : []);
  let opened = false;
  socket = opening;
  opening.onopen = () => {
    opened = true;
    delay = FIRST_DELAY;
    say("Live: comments show as they are written.", false);
    awaitReplay();
    enable();
    showPresence();
  };
  opening.onmessage = ({ data }) => heard(JSON.parse(data));
  opening.onclose = ({ code, reason }) => {
    if (code === SIGNED_OUT) {
      signedOut(token);
    }
    lost(opened, code, reason);
  };
}

// A comment that was sent as the connection broke may be stored: then it comes back now, and must not be sent again.
function awaitReplay() {
  const open = sent;
  if (open !== null) {
    setTimeout(() => {
      sent = sent === open ? null : sent;
      enable();
    }, REPLAY);
  }
}

function lost(opened, code, reason) {
  enable();
  if (opened && code === DELETED) {
    say(reason || "The post was deleted.", true);
    element("write").hidden = true;
    return;
  }
  if (!opened && me) {
    checkMe().catch(() => {});
  }
  if (delay > 0) {
    say("The connection is lost: trying again.", true);
  }
  // Not all at once, when many lost theirs together.
  setTimeout(connect, delay * (0.5 + Math.random()));
  delay = Math.min(Math.max(delay * 2, FIRST_DELAY), LONGEST_DELAY);
}

function write(event) {
  event.preventDefault();
  const text = element("text").value.trim();
  if (text && socket.readyState === WebSocket.OPEN) {
    complain("");
    sent = text;
    socket.send(JSON.stringify({ comment_text: text }));
    enable();
  }
}

// Who is here

async function showPresence() {
  if (document.hidden) {
    return;
  }
  try {
    const answer = await ask(`/ws/presence/${encodeURIComponent("posts:")}${post}`);
    if (!answer.ok) {
      return;
    }
    const { sockets, user_ids: ids } = await answer.json();
    const people = await Promise.all(ids.slice(0, 20).map(nameOf));
    const who = people.length > 0 ? `: ${people.join(", ")}${ids.length > 20 ? ", …" : ""}` : "";
    element("presence").textContent = `${sockets} watching${who}`;
  } catch {
    // It is asked again.
  }
}

// The pages

async function showPosts() {
  const answer = await ask(`/api/posts?limit=${PAGE}`);
  if (!answer.ok) {
    throw new Error(await problem(answer));
  }
  const rows = (await answer.json()).map(({ post_id: id, title, car_model: model }) => {
    const [item, link] = ["li", "a"].map((name) => document.createElement(name));
    link.href = `/live?post=${encodeURIComponent(id)}`;
    link.textContent = title;
    item.append(link, ` (${model})`);
    return item;
  });
  element("posts").hidden = false;
  element("posts").querySelector("ul").replaceChildren(...rows);
  if (rows.length === 0) {
    complain("There is no post yet: write one by POST /api/posts");
  }
}

async function showPost() {
  const answer = await ask(`/api/posts/${post}`);
  if (!answer.ok) {
    throw new Error(await problem(answer));
  }
  const { title, content, car_model: model, user_id: author } = await answer.json();
  document.title = `${title} · Plaza live`;
  element("title").textContent = title;
  element("content").textContent = content;
  element("about").textContent = `${model}, by ${await nameOf(author)}`;
  earlier = `/api/posts/${post}/comments?limit=${PAGE}`;
  await showEarlier();
  element("post").hidden = false;
  connect();
  setInterval(showPresence, PRESENCE_PERIOD);
  document.addEventListener("visibilitychange", showPresence);
}

element("login").addEventListener("submit", login);
element("logout").addEventListener("click", logout);
element("write").addEventListener("submit", write);
element("earlier").addEventListener("click", () => showEarlier().catch(({ message }) => complain(message)));
showMe();
(postId ? showPost() : showPosts()).catch(({ message }) => complain(message));
