import { element } from "./dom.js";
import { Session } from "./session.js";
import { signInView } from "./sign-in.js";
import { SyncClient } from "./sync.js";

/** Where the server is: the folder that the page is in. */
const site = new URL(".", location.href);
/** A connection that is back sooner than this (ms) was hardly gone. */
const patience = 1_000;

/**
 * Runs a page that is for people who are signed in: shows the form to sign in until somebody is, then what `open` makes.
 *
 * @param {{purpose: string, canSignUp: boolean}} signIn  see `signInView`
 * @param {(place: {client: SyncClient, session: Session}) => {view: Element, close?: () => void}} open  makes the page's
 *   contents for whoever has signed in; `close` is called when that has changed
 */
export function runPage({ signIn, open }) {
    const session = new Session(site);
    let opened;

    function show() {
        opened?.close?.();
        opened?.client.close();
        opened = undefined;
        if (!session.isSignedIn) return document.body.replaceChildren(signInView({ session, ...signIn }));
        const client = new SyncClient(site, (refused) => session.token(refused));
        opened = { client, ...open({ client, session }) };
        document.body.replaceChildren(connectionBar(client), opened.view);
    }

    session.addEventListener("change", show);
    session.addEventListener("renew", () => opened?.client.authenticate());
    show();
}

/** A line that says when the page is not up to date, because the connection is gone. */
function connectionBar(client) {
    const text = element("span");
    const bar = element("div", { class: "connection-bar", hidden: true }, element("span", { class: "spinner" }), text);
    let timer;

    function show() {
        clearTimeout(timer);
        bar.hidden = true;
        if (client.state === "failed") tell("Something went wrong. Load the page again.");
        else if (client.state === "connecting") timer = setTimeout(() => tell("Connecting…"), patience);
        else if (client.state === "waiting") timer = setTimeout(() => tell("Reconnecting…"), patience);
    }

    function tell(words) {
        text.textContent = words;
        bar.hidden = false;
    }

    client.addEventListener("state", show);
    show();
    // Always there, so that screen readers notice when something appears in it.
    return element("div", { role: "status", class: "connection" }, bar);
}
