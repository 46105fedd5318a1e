// The page's link to the server: the session, plain questions, and the event stream with its way back after a break.

/** Exchange a key for a session. True: the server knows the key. */
export async function openSession(key) {
  const answer = await fetch("/session", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ key }),
  });
  return answer.ok;
}

/** A GET as JSON. Throws an Error with `status` and what the problem says. */
export async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  const told = await answer.json();
  if (answer.ok) return told;
  throw Object.assign(new Error(told.detail ?? answer.statusText), { status: answer.status });
}

/** Follow /v1/live. `on`: handlers by event name, and `state` (live, away, broken) and `refused` (no session). */
export function follow(on) {
  let source;
  const open = () => {
    source = new EventSource("/v1/live");
    source.onerror = () => lost();
    source.addEventListener("snapshot", (event) => on.snapshot(JSON.parse(event.data)));
    source.addEventListener("payments", (event) => on.payments(JSON.parse(event.data)));
    source.addEventListener("totals", (event) => on.totals(JSON.parse(event.data)));
    source.addEventListener("reading", (event) => on.state(JSON.parse(event.data) ? "live" : "away")); // behind the first rows
  };
  const lost = async () => {
    on.state("broken");
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself, and says where it was
    try {
      await ask("/v1/payments?limit=1");
    } catch (error) {
      if (error.status === 401 || error.status === 403) {
        on.refused();
        return;
      }
    }
    setTimeout(open, 2000);
  };
  open();
}
