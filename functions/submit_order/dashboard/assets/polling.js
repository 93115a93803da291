/** Work that is done again and again, or a few pieces at a time. */

const MOST_BACKOFF = 4;

/**
 * Calls `work` at once and then every `seconds`, while the page is visible and `isWanted` says so; at once again when
 * the page comes back. Never twice at a time; slower after failures, which are `work`'s own to show.
 * @returns {() => void} does it now
 */
export function poll(work, seconds, isWanted = () => true) {
  let timer,
    isBusy = false,
    isDue = false,
    failures = 0;
  async function run() {
    clearTimeout(timer);
    if (isBusy) return void (isDue = true);
    if (document.hidden || !isWanted()) return;
    isBusy = true;
    isDue = false;
    try {
      await work();
      failures = 0;
    } catch {
      failures += 1;
    }
    isBusy = false;
    timer = setTimeout(run, isDue ? 0 : seconds * 1000 * Math.min(2 ** failures, MOST_BACKOFF));
  }
  document.addEventListener("visibilitychange", run);
  addEventListener("online", run);
  run();
  return run;
}

/** A function that runs tasks, at most `width` at a time, in the order they came. */
export function lane(width) {
  const waiting = [];
  let running = 0;
  function next() {
    if (running >= width || waiting.length === 0) return;
    running += 1;
    const { task, resolve, reject } = waiting.shift();
    task()
      .then(resolve, reject)
      .finally(() => {
        running -= 1;
        next();
      });
  }
  return (task) =>
    new Promise((resolve, reject) => {
      waiting.push({ task, resolve, reject });
      next();
    });
}

/** `work`, once for many calls: `ms` after the last of them. */
export function debounce(work, ms) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, ms);
  };
}

/** `work`, at most once a frame. */
export function eachFrame(work) {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      work();
    });
  };
}
