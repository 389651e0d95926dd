import { element, oncePerFrame } from "../shared/dom.js";
import { PagedQuery } from "../shared/paging.js";
import { Conversation } from "./conversation.js";
import { icon } from "./icons.js";
import { Inbox } from "./inbox.js";
import { Outbox } from "./outbox.js";

const title = document.title;
const pageSize = 30;
/** Times are shown as "Yesterday" and the like, which changes without anything happening. */
const clockTick = 60_000;

/**
 * The chat of whoever is signed in: the inbox, and the conversation that the page's address names, as `#conversation_…` or,
 * for somebody to write to, `#user_…`. On a narrow screen one of them is seen.
 */
export function chatView({ client, session }) {
    const redraw = oncePerFrame(draw);
    const me = client.watch("auth:getCurrentUser", {}, redraw);
    const conversations = new PagedQuery(client, "messages:listConversations", {}, { pageSize, onChange: redraw });
    const outbox = new Outbox(client);
    outbox.addEventListener("change", redraw);
    /** What was begun and not sent, by the person it is for. */
    const drafts = new Map();
    const inbox = new Inbox({ client, session, conversations });
    const pane = element("section", { class: "conversation", "aria-label": "Conversation" });
    const view = element("main", { class: "chat" }, element("h1", { class: "unseen" }, "Attune messages"), inbox.view, pane);
    const clock = setInterval(redraw, clockTick);
    /** Of somebody who is in none of the conversations. */
    let profile;
    let conversation;
    let shownPlace;

    function draw() {
        const place = location.hash.slice(1);
        const summary = conversations.items.find(({ _id, otherUser }) => place === _id || place === otherUser._id);
        const person = summary?.otherUser ?? personAt(place);
        // The address stays good when the page is loaded again, wherever it came from.
        if (summary && place !== summary._id) history.replaceState(null, "", `#${summary._id}`);

        view.classList.toggle("is-open", place !== "");
        if (conversation && conversation.personId !== person?._id) closeConversation();
        if (person && !conversation) {
            conversation = new Conversation({ client, outbox, drafts, personId: person._id, redraw });
            pane.replaceChildren(conversation.view);
        }
        if (conversation) conversation.draw({ person, summary });
        else pane.replaceChildren(explanation(place));

        inbox.draw({ me: me.value, chosen: summary?._id });
        moveFocus(place, summary);
        const unread = conversations.items.reduce((sum, { unreadCount }) => sum + unreadCount, 0);
        document.title = unread > 0 ? `(${unread}) ${title}` : title;
    }

    /** Who is to be written to for the first time. Undefined while that is not known. */
    function personAt(place) {
        if (place === "" || conversations.isEmpty) return undefined;
        // Perhaps they are in an older conversation.
        if (conversations.hasMore) conversations.loadMore();
        if (conversations.isLoading || !place.startsWith("user_")) return undefined;
        if (profile?.place !== place) {
            profile?.query.close();
            profile = { place, query: client.watch("users:getProfile", { userId: place }, redraw) };
        }
        return profile.query.value;
    }

    function explanation(place) {
        if (place === "") return emptyPane("talk", "Choose a conversation, or find somebody to write to.");
        const isSearching = !conversations.error && (conversations.isLoading || conversations.hasMore || profile?.query.isLoading);
        if (isSearching) return element("p", { class: "waiting", role: "status" }, "Loading…");
        return emptyPane("talk", "There is no such conversation, or it is not yours.", element("a", { class: "button", href: "#" }, "All conversations"));
    }

    /** Follows the address: into a conversation that was opened, and back to where it was chosen. */
    function moveFocus(place, summary) {
        const current = summary?._id ?? place;
        if (current === shownPlace) return;
        const isFirst = shownPlace === undefined;
        const previous = shownPlace;
        if (current !== "" && !conversation) return;
        shownPlace = current;
        if (current !== "") conversation.focus();
        else if (!isFirst) inbox.focus(previous);
    }

    function closeConversation() {
        conversation?.close();
        conversation = undefined;
    }

    function leaveOnEscape(event) {
        if (event.key === "Escape" && conversation && !event.defaultPrevented && !event.isComposing) location.hash = "";
    }

    addEventListener("hashchange", redraw);
    addEventListener("keydown", leaveOnEscape);
    draw();

    function close() {
        removeEventListener("hashchange", redraw);
        removeEventListener("keydown", leaveOnEscape);
        clearInterval(clock);
        closeConversation();
        document.title = title;
        // What was open is nobody else's business.
        history.replaceState(null, "", location.pathname);
    }

    return { view, close };
}

function emptyPane(picture, words, ...more) {
    return element("div", { class: "empty" }, icon(picture), element("p", {}, words), ...more);
}
