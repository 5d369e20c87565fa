// Asks for the page again and puts the parts that changed in place: the service writes the page, and nobody else.

const PERIOD = 2000;
const PATIENCE = 5000;
const PARTS = ["summary", "figures", "services", "others"];

let asking = false;
let lostAt = null;

function show(fresh) {
  const focused = document.activeElement?.id;
  for (const id of PARTS) {
    const part = document.getElementById(id);
    const twin = fresh.getElementById(id);
    if (twin && part.innerHTML !== twin.innerHTML) {
      part.replaceWith(document.adoptNode(twin));
    }
  }
  if (focused && document.activeElement?.id !== focused) {
    document.getElementById(focused)?.focus();
  }
}

// Written only when it changes: a screen reader says it each time.
function say(text, lost) {
  const connection = document.getElementById("connection");
  if (connection.textContent !== text) {
    connection.textContent = text;
  }
  connection.toggleAttribute("data-lost", lost);
}

async function refresh() {
  if (asking || document.hidden) {
    return;
  }
  asking = true;
  try {
    const answer = await fetch("/", {
      headers: { accept: "text/html" },
      cache: "no-cache",
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (!answer.ok) {
      throw new Error(`status ${answer.status}`);
    }
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    lostAt = null;
    say("Live: changes show by themselves.", false);
  } catch {
    lostAt ??= new Date();
    say(`No answer since ${lostAt.toLocaleTimeString()}: this is what was known then.`, true);
  } finally {
    asking = false;
  }
}

setInterval(refresh, PERIOD);
document.addEventListener("visibilitychange", refresh);
refresh();
