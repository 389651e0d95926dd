import { ApiError, ConnectionError } from "./errors.js";
import { parseValues } from "./values.js";

const storageKey = "attune.session";
/** The access token is renewed this long before it expires (ms), or after three quarters of its life if that is later. */
const renewalLead = 60_000;
/** Longest delay that timers of browsers know (ms). */
const longestDelay = 2 ** 31 - 1;
/** A call that has no answer after this long (ms) has failed: other tabs may be waiting for it. */
const longestCall = 20_000;

/**
 * Who is signed in in this browser. The tokens are in localStorage, so all tabs share one sign-in; one of them renews it for
 * all.
 *
 * Events: `change` when somebody has signed in or out, here, in another tab or because the server ended the session
 * (`hasEnded` tells the last from the others); `renew` when there is a new access token.
 */
export class Session extends EventTarget {
    /** The server ended the session: nobody signed out here. */
    hasEnded = false;

    #site;
    /** `{token, refreshToken, renewAt}`, or null. */
    #tokens = null;
    #timer;

    /** @param {URL | string} site  where the server is: the folder that holds `api/` */
    constructor(site) {
        super();
        this.#site = site;
        this.#take(readStorage());
        addEventListener("storage", (event) => {
            if (event.key === storageKey || event.key === null) this.#take(readStorage());
        });
    }

    get isSignedIn() {
        return this.#tokens !== null;
    }

    /** Throws an `ApiError`, or a `ConnectionError`. */
    async signIn({ email, password }) {
        await this.#signIn({ flow: "signIn", email, password });
    }

    /** `accountType` is `therapist` or `client`. Throws as `signIn`. */
    async signUp({ name, email, password, accountType }) {
        await this.#signIn({ flow: "signUp", name, email, password, accountType });
    }

    /** Ends the session on the server, and here in any case. */
    async signOut() {
        const { token } = this.#tokens ?? {};
        this.#store(null);
        if (!token) return;
        try {
            await this.#callAction("auth:signOut", {}, token);
        } catch {
            // The session was over already, or ends by itself when it has not been used for long enough.
        }
    }

    /**
     * The access token to use, renewed if it is about to expire or is the one that was refused; null when nobody is signed
     * in. Throws a `ConnectionError` when it cannot be renewed now.
     */
    async token(refused = null) {
        if (this.#tokens && this.#needsRenewal(refused)) await this.#renew(refused);
        return this.#tokens?.token ?? null;
    }

    async #signIn(params) {
        const { tokens } = await this.#callAction("auth:signIn", { provider: "password", params });
        this.#store(tokens);
    }

    #needsRenewal(refused) {
        return this.#tokens.token === refused || Date.now() >= this.#tokens.renewAt;
    }

    async #renew(refused) {
        await oneTabAtATime(async () => {
            // Another tab may have been faster.
            this.#take(readStorage());
            if (!this.#tokens || !this.#needsRenewal(refused)) return;
            const { refreshToken } = this.#tokens;
            const { tokens } = await this.#callAction("auth:signIn", { refreshToken });
            // Somebody may have signed out, or in as somebody else, meanwhile, perhaps in another tab.
            this.#take(readStorage());
            if (this.#tokens?.refreshToken !== refreshToken) return;
            this.#store(tokens ?? { hasEnded: true });
        });
    }

    /** Keeps tokens for all tabs; or that the session has ended, or null for nothing. */
    #store(stored) {
        if (stored?.token) stored = { ...stored, renewAt: renewalTime(stored.token) };
        if (stored) localStorage.setItem(storageKey, JSON.stringify(stored));
        else localStorage.removeItem(storageKey);
        this.#take(stored);
    }

    /** Goes by what is stored, which another tab may have changed. */
    #take(stored) {
        const before = this.#tokens;
        this.#tokens = stored?.token ? stored : null;
        this.hasEnded = stored?.hasEnded ?? false;
        if (before?.token === this.#tokens?.token) return;
        this.#scheduleRenewal();
        const isSameSession = before && this.#tokens && sessionOf(before) === sessionOf(this.#tokens);
        this.dispatchEvent(new Event(isSameSession ? "renew" : "change"));
    }

    #scheduleRenewal() {
        clearTimeout(this.#timer);
        if (!this.#tokens) return;
        const delay = Math.min(longestDelay, Math.max(0, this.#tokens.renewAt - Date.now()));
        this.#timer = setTimeout(() => {
            // Without a connection: the next attempt to connect renews it.
            this.token().catch(() => {});
        }, delay);
    }

    async #callAction(path, args, token) {
        const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
        const body = JSON.stringify({ path, args: [args], format: "convex_encoded_json" });
        let response, outcome;
        try {
            const signal = AbortSignal.timeout(longestCall);
            response = await fetch(new URL("api/action", this.#site), { method: "POST", headers, body, signal });
            outcome = parseValues(await response.text());
        } catch (cause) {
            throw new ConnectionError(undefined, { cause });
        }
        if (!response.ok) throw new ConnectionError(outcome.message);
        if (outcome.status !== "success") throw ApiError.from(outcome);
        return outcome.value;
    }
}

/** Of two tabs that renew at once, the second one finds what the first one got. */
function oneTabAtATime(work) {
    // Browsers have locks for pages that came over HTTPS, or from the machine itself. Elsewhere tabs may renew at the same
    // time, which the server forgives.
    return navigator.locks ? navigator.locks.request(storageKey, work) : work();
}

function readStorage() {
    try {
        return JSON.parse(localStorage.getItem(storageKey));
    } catch {
        return null;
    }
}

/** By this browser's clock, which may differ from the server's: only the token's length of life is taken from it. */
function renewalTime(token) {
    const { iat, exp } = claimsOf(token);
    const life = (exp - iat) * 1000;
    return Date.now() + Math.max(life - renewalLead, life * 0.75);
}

/** A token's subject is `<user>|<session>`. */
function sessionOf({ token }) {
    return claimsOf(token).sub;
}

function claimsOf(token) {
    return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
}
