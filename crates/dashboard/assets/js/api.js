// The JSON API. Errors carry the server's words.

export class ApiError extends Error {
  constructor(status, message, hint) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

const KEY = "klines-token";
export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (text) => sessionStorage.setItem(KEY, text),
  clear: () => sessionStorage.removeItem(KEY),
};

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(`/api/v1/${path}`, { cache: "no-store", ...options });
  } catch {
    throw new ApiError(0, "the dashboard does not answer", "is `klines serve` still running?");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(response.status, body.error ?? `HTTP ${response.status}`, body.hint);
  return body;
}

/** Reads; `query` leaves out what is empty. */
export function get(path, query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  const text = new URLSearchParams(pairs).toString();
  return request(text ? `${path}?${text}` : path);
}

const bearer = () => ({ authorization: `Bearer ${token.get() ?? ""}` });

/** Whether the token is the right one; throws when it is not. */
export const checkAccess = () => request("access", { headers: bearer() });

const act = (what, body) =>
  request(what, { method: "POST", headers: { ...bearer(), "content-type": "application/json" }, body: JSON.stringify(body) });

/** Starts to fill gaps. */
export const fillGaps = (series) => act("fill", { series });

/** Starts to compare stored klines with the exchange's. */
export const verify = (series) => act("verify", { series });
