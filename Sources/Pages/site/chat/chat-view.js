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
    /** The inbox's row of the conversation that was found last. */
    let known;
    /** The query for somebody who is in none of the conversations, and the place that is for. */
    let profile;
    let conversation;
    let shownPlace;
    let isClosed = false;

    function draw() {
        if (isClosed) return;
        const place = location.hash.slice(1);
        const summary = summaryAt(place);
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
        else explain(place);

        inbox.draw({ me: me.value, chosen: summary?._id });
        moveFocus(place, summary);
        const unread = conversations.items.reduce((sum, { unreadCount }) => sum + unreadCount, 0);
        document.title = unread > 0 ? `(${unread}) ${title}` : title;
    }

    /** The inbox's row of the conversation that is to be shown; the last that there was, while the inbox is read anew. */
    function summaryAt(place) {
        const isThere = ({ _id, otherUser }) => place === _id || place === otherUser._id;
        known = conversations.items.find(isThere) ?? known;
        return known && isThere(known) ? known : undefined;
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

    /** Says why no conversation is shown. */
    function explain(place) {
        const isSearching = !conversations.error && (conversations.isLoading || conversations.hasMore || profile?.query.isLoading);
        const words =
            place === "" ? "Choose a conversation, or find somebody to write to."
            : isSearching ? "Loading…"
            : "There is no such conversation, or it is not yours.";
        if (pane.textContent.startsWith(words)) return;
        const wayBack = place !== "" && element("a", { class: "button back", href: "#" }, "All conversations");
        pane.replaceChildren(element("div", { class: "empty", role: "status" }, icon("talk"), element("p", {}, words), wayBack));
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
        isClosed = true;
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
