import { ApiError, ConnectionError } from "./errors.js";
import { parseValues, randomUUID, timestampOf } from "./values.js";

/** The release of Convex's JavaScript client whose protocol is spoken here; the server goes by it. */
const protocolVersion = "1.45.0";
/** The server says something every few seconds. After this long without a word (ms) the connection is taken for dead. */
const longestSilence = 60_000;
/** Pauses between attempts to connect (ms): they double from the shortest to the longest. */
const shortestPause = 500;
const longestPause = 16_000;

const versionOfNewConnection = { querySet: 0, identity: 0, ts: "AAAAAAAAAAA=" };

/**
 * One connection to the server: live queries, mutations and actions. It connects again by itself, and whatever was asked for
 * survives that: queries go on, and mutations that were not answered are sent again and happen once.
 *
 * All results together are always those of one moment. Events: `state` when `state` changes.
 */
export class SyncClient extends EventTarget {
    /**
     * - `connecting`: for the first time; there are no results yet.
     * - `connected`: results are those of this moment.
     * - `waiting`: the connection is gone and being made again; results are those of the moment it broke.
     * - `failed`: the server said that only loading the page anew helps.
     * - `closed`: by `close`.
     */
    state = "connecting";

    #address;
    #token;
    /** What the server knows a repeated mutation by, together with its number. */
    #sessionId = randomUUID();

    #queries = new Map();
    #nextQueryId = 0;
    /** Changes of the query set that are to be sent together. */
    #modifications = [];
    /** Mutations and actions that have no outcome yet, in the order of their numbers. */
    #requests = new Map();
    #nextRequestId = 0;

    #socket = null;
    /** The socket is open and has been told all that there was. */
    #isGreeted = false;
    #connectionCount = 0;
    #lastCloseReason = null;
    #failedAttempts = 0;
    #retryTimer;
    #silenceTimer;
    /** Where the last Transition ended. */
    #version = versionOfNewConnection;
    /** What the next messages build on. */
    #sentVersion = { querySet: 0, identity: 0 };
    /** The latest timestamp ever seen, as it was written: the next connection must not be behind it. */
    #latest = null;
    #sentToken = null;
    #refusedToken = null;
    #chunks = [];

    /**
     * @param {URL | string} site  where the server is: the folder that holds `api/`
     * @param {(refused: string | null) => Promise<string | null>} token  gives the access token to sign in with, null for
     *   nobody; `refused` is one that the server did not take. When it throws, connecting is tried again later.
     */
    constructor(site, token = async () => null) {
        super();
        this.#address = new URL(`api/${protocolVersion}/sync`, site);
        this.#address.protocol = this.#address.protocol.replace("http", "ws");
        this.#token = token;
        addEventListener("online", this.#connectNow);
        document.addEventListener("visibilitychange", this.#connectNow);
        this.#connect();
    }

    /**
     * Keeps the result of a query up to date until the query is closed.
     *
     * @param {(query: LiveQuery) => void} onChange  called with each new result, when all results have been brought up to date
     * @returns {LiveQuery}
     */
    watch(path, args = {}, onChange = () => {}) {
        const query = new LiveQuery(this.#nextQueryId++, path, args, onChange, () => this.#forget(query));
        this.#queries.set(query.id, query);
        this.#modify(query.addition);
        return query;
    }

    /** Runs a mutation. The promise is kept when live queries show its effect; it breaks with an `ApiError` if it is refused. */
    mutation(path, args = {}) {
        return this.#request("Mutation", path, args);
    }

    /** Runs an action. It is not repeated if the connection breaks meanwhile; the promise then breaks with a `ConnectionError`. */
    action(path, args = {}) {
        return this.#request("Action", path, args);
    }

    /** Asks for the access token again, and signs in with it if it is another one. */
    async authenticate() {
        const socket = this.#socket;
        let token;
        try {
            token = await this.#token(null);
        } catch {
            // The next attempt to connect asks again.
            return;
        }
        if (!this.#isGreeted || socket !== this.#socket || token === this.#sentToken) return;
        this.#sendToken(token);
    }

    /** Ends the connection for good. Calls without an outcome fail. */
    close() {
        this.#end("closed", new ConnectionError("The connection was closed."));
    }

    // MARK: Asking

    #forget(query) {
        if (this.#queries.delete(query.id)) this.#modify({ type: "Remove", queryId: query.id });
    }

    /** Changes that are made in one go reach the server as one. */
    #modify(modification) {
        if (!this.#isGreeted) return;
        this.#modifications.push(modification);
        if (this.#modifications.length > 1) return;
        queueMicrotask(() => {
            if (this.#isGreeted && this.#modifications.length > 0) this.#sendModifications(this.#modifications);
        });
    }

    #sendModifications(modifications) {
        const baseVersion = this.#sentVersion.querySet++;
        this.#modifications = [];
        this.#send({ type: "ModifyQuerySet", baseVersion, newVersion: baseVersion + 1, modifications });
    }

    #request(type, path, args) {
        return new Promise((resolve, reject) => {
            if (this.state === "closed" || this.state === "failed") return reject(new ConnectionError());
            const requestId = this.#nextRequestId++;
            const message = { type, requestId, udfPath: path, args: [args] };
            const request = { message, resolve, reject, wasSent: false, outcome: null };
            this.#requests.set(requestId, request);
            if (this.#isGreeted) this.#sendRequest(request);
        });
    }

    #sendRequest(request) {
        request.wasSent = true;
        this.#send(request.message);
    }

    #sendToken(token) {
        const authenticate = token === null ? { tokenType: "None" } : { tokenType: "User", value: token };
        this.#sentToken = token;
        this.#send({ type: "Authenticate", baseVersion: this.#sentVersion.identity++, ...authenticate });
    }

    #send(message) {
        this.#socket.send(JSON.stringify(message));
    }

    // MARK: Connecting

    async #connect() {
        const socketBefore = this.#socket;
        let token;
        try {
            token = await this.#token(this.#refusedToken);
        } catch {
            return this.#connectLater();
        }
        if (this.#hasEnded || this.#socket !== socketBefore) return;
        const socket = new WebSocket(this.#address);
        this.#socket = socket;
        const ifCurrent = (handler) => (event) => socket === this.#socket && handler(event);
        socket.addEventListener("open", ifCurrent(() => this.#greet(token)));
        socket.addEventListener("message", ifCurrent((event) => this.#hear(event.data)));
        socket.addEventListener("close", ifCurrent((event) => this.#lose(event.reason || `Closed with ${event.code}`)));
        this.#expectWord();
    }

    /** Says who we are, then all that is to be watched, then what is to be done. */
    #greet(token) {
        this.#version = versionOfNewConnection;
        this.#sentVersion = { querySet: 0, identity: 0 };
        this.#chunks = [];
        this.#send({
            type: "Connect",
            sessionId: this.#sessionId,
            connectionCount: this.#connectionCount++,
            lastCloseReason: this.#lastCloseReason,
            clientTs: Date.now(),
            ...(this.#latest && { maxObservedTimestamp: this.#latest }),
        });
        this.#sentToken = null;
        if (token !== null) this.#sendToken(token);
        this.#sendModifications(Array.from(this.#queries.values(), (query) => query.addition));
        for (const request of this.#requests.values()) this.#sendRequest(request);
        this.#isGreeted = true;
    }

    #lose(reason) {
        this.#abandonSocket();
        this.#lastCloseReason = reason;
        for (const [id, { message, wasSent, reject }] of this.#requests) {
            if (message.type !== "Action" || !wasSent) continue;
            this.#requests.delete(id);
            reject(new ConnectionError("The connection broke before the answer was there."));
        }
        this.#connectLater();
    }

    #connectLater() {
        if (this.#hasEnded) return;
        if (this.state !== "connecting") this.#enter("waiting");
        const pause = Math.min(longestPause, shortestPause * 2 ** this.#failedAttempts++);
        clearTimeout(this.#retryTimer);
        this.#retryTimer = setTimeout(() => this.#retry(), pause * (0.5 + Math.random()));
    }

    #retry() {
        this.#retryTimer = undefined;
        this.#connect();
    }

    /** The network is back, or somebody looks at the page again: no need to sit out the pause. */
    #connectNow = () => {
        if (this.#retryTimer === undefined || document.hidden) return;
        clearTimeout(this.#retryTimer);
        this.#retry();
    };

    #expectWord() {
        clearTimeout(this.#silenceTimer);
        this.#silenceTimer = setTimeout(() => this.#lose("InactiveServer"), longestSilence);
    }

    #abandonSocket() {
        clearTimeout(this.#silenceTimer);
        const socket = this.#socket;
        this.#socket = null;
        this.#isGreeted = false;
        this.#modifications = [];
        socket?.close();
    }

    get #hasEnded() {
        return this.state === "closed" || this.state === "failed";
    }

    #end(state, error) {
        if (this.#hasEnded) return;
        this.#abandonSocket();
        clearTimeout(this.#retryTimer);
        removeEventListener("online", this.#connectNow);
        document.removeEventListener("visibilitychange", this.#connectNow);
        for (const { reject } of this.#requests.values()) reject(error);
        this.#requests.clear();
        this.#queries.clear();
        this.#enter(state);
    }

    #enter(state) {
        if (state === this.state) return;
        this.state = state;
        this.dispatchEvent(new Event("state"));
    }

    // MARK: Hearing

    #hear(text) {
        this.#expectWord();
        const message = parseValues(text);
        switch (message.type) {
            case "Transition":
                return this.#takeTransition(message);
            case "TransitionChunk":
                return this.#takeChunk(message);
            case "MutationResponse":
            case "ActionResponse":
                return this.#takeResponse(message);
            case "AuthError":
                // The server closes the connection. The next one asks for a better token.
                this.#refusedToken = this.#sentToken;
                return;
            case "FatalError":
                return this.#end("failed", new ConnectionError(message.error));
        }
    }

    #takeChunk({ chunk, totalParts }) {
        this.#chunks.push(chunk);
        if (this.#chunks.length < totalParts) return;
        const text = this.#chunks.join("");
        this.#chunks = [];
        this.#takeTransition(parseValues(text));
    }

    /** Brings results up to date, then keeps the promises of mutations whose effect they show, then tells who watches. */
    #takeTransition({ startVersion, endVersion, modifications }) {
        const fits = ["querySet", "identity", "ts"].every((field) => startVersion[field] === this.#version[field]);
        if (!fits) return this.#lose("A Transition was missed");
        this.#version = endVersion;
        this.#observe(endVersion.ts);

        const changed = [];
        for (const modification of modifications) {
            const query = this.#queries.get(modification.queryId);
            if (query?.take(modification)) changed.push(query);
        }
        const now = timestampOf(endVersion.ts);
        for (const [id, { outcome, resolve }] of this.#requests) {
            if (outcome === null || timestampOf(outcome.ts) > now) continue;
            this.#requests.delete(id);
            resolve(outcome.result);
        }
        if (endVersion.identity === this.#sentVersion.identity) this.#refusedToken = null;
        // The first message of each connection asks for all queries.
        if (endVersion.querySet > 0) {
            this.#failedAttempts = 0;
            this.#enter("connected");
        }
        for (const query of changed) query.tell();
    }

    #takeResponse(response) {
        const request = this.#requests.get(response.requestId);
        if (!request) return;
        if (!response.success) {
            this.#requests.delete(response.requestId);
            request.reject(ApiError.from({ errorData: response.errorData, errorMessage: response.result }));
        } else if (response.type === "ActionResponse") {
            this.#requests.delete(response.requestId);
            request.resolve(response.result);
        } else {
            this.#observe(response.ts);
            request.outcome = response;
        }
    }

    #observe(ts) {
        if (this.#latest === null || timestampOf(ts) > timestampOf(this.#latest)) this.#latest = ts;
    }
}

/** A query whose result is kept up to date. Made by `SyncClient.watch`. */
export class LiveQuery {
    /** The result; undefined while there is none, and when the query has failed. */
    value;
    /** Why the query failed: an `ApiError`; undefined when it has not. A later result may be fine again. */
    error;

    #path;
    #args;
    #onChange;
    #close;
    /** What the server wants back after a reconnect, so that a page of a list ends where it ended. */
    #journal = null;

    constructor(id, path, args, onChange, close) {
        this.id = id;
        this.#path = path;
        this.#args = args;
        this.#onChange = onChange;
        this.#close = close;
    }

    get isLoading() {
        return this.value === undefined && this.error === undefined;
    }

    /** Nobody is told of results any more. */
    close() {
        this.#onChange = () => {};
        this.#close();
    }

    /** As the sync protocol asks for it. */
    get addition() {
        return { type: "Add", queryId: this.id, udfPath: this.#path, args: [this.#args], journal: this.#journal };
    }

    /** Takes one modification of a Transition, and says whether it brings a result. */
    take(modification) {
        if (modification.type === "QueryRemoved") return false;
        const hasFailed = modification.type === "QueryFailed";
        this.value = hasFailed ? undefined : modification.value;
        this.error = hasFailed ? ApiError.from(modification) : undefined;
        this.#journal = modification.journal;
        return true;
    }

    tell() {
        this.#onChange(this);
    }
}
