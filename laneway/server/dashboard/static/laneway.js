// Says on the page whether it is still told of changes. Everything else that moves is htmx and the server.
(() => {
  const say = (lost) => document.documentElement.toggleAttribute("data-lost", lost);
  document.addEventListener("htmx:sse:after:connection", (event) => {
    say(false);
    // what happened while nobody listened
    if (event.detail.connection.lost) htmx.trigger(event.target, "changed");
    event.detail.connection.lost = false;
  });
  for (const name of ["htmx:sse:error", "htmx:sse:close"]) {
    document.addEventListener(name, (event) => {
      if (event.detail.connection) event.detail.connection.lost = true;
      say(true);
    });
  }
  document.addEventListener("htmx:sse:before:connection", (event) => {
    if (event.detail.connection.attempt > 0) event.detail.connection.lost = true;
  });
})();
