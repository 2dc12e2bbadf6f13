/** Server-sent events: jobs that change, and alerts of a watch. */

/**
 * Listen until a view is left.
 * @param {Record<string, (value: any) => void>} handlers by kind of event
 * @param {AbortSignal} signal
 * @returns {Promise<void>} once the server listens, so that nothing after is missed, or has refused to
 */
export function listen(handlers, signal) {
  const source = new EventSource("/api/v1/events");
  signal.addEventListener("abort", () => source.close());
  if (signal.aborted) source.close();
  for (const [kind, handle] of Object.entries(handlers))
    source.addEventListener(kind, (event) => handle(JSON.parse(event.data)));
  return new Promise((done) => ["open", "error"].forEach((kind) => source.addEventListener(kind, () => done())));
}
