import { element, setAttribute, setText, updateList } from "../shared/dom.js";
import { formatBriefly } from "../shared/format.js";
import { accountTypeName, avatar, personName } from "../shared/person.js";
import { icon } from "./icons.js";
import { PeopleSearch } from "./people-search.js";

/** The list of conversations, with a search for people above and the account below it. */
export class Inbox {
    view;

    #conversations;
    #search;
    #list = element("ul", { class: "rows" });
    #status = element("div", { class: "inbox-status" });
    #account = element("footer", { class: "account" });
    #session;

    constructor({ client, session, conversations }) {
        this.#session = session;
        this.#conversations = conversations;
        const scroller = element("nav", { class: "rows-scroller", "aria-label": "Conversations" }, this.#list, this.#status);
        scroller.addEventListener("scroll", () => this.#readOn(scroller), { passive: true });
        this.#search = new PeopleSearch(client, scroller);
        this.view = element(
            "section", { class: "inbox", "aria-label": "Inbox" },
            element(
                "header", { class: "inbox-header" },
                element("img", { src: "assets/shared/icon.svg", alt: "" }), element("h2", {}, "Messages")),
            this.#search.view, scroller, this.#account);
    }

    /** Shows the conversations that there are; `chosen` is the id of the one that is open. */
    draw({ me, chosen }) {
        const { items } = this.#conversations;
        updateList(this.#list, items, {
            key: ({ _id }) => _id,
            make: conversationRow,
            update: (row, conversation) => updateRow(row, conversation, conversation._id === chosen),
        });
        setAttribute(this.#list, "hidden", items.length === 0);
        this.#drawStatus(items);
        this.#search.ownId = me?._id;
        if (me) this.#drawAccount(me);
    }

    /** Puts the focus on a conversation's row, or where one begins to look for somebody. */
    focus(conversationId) {
        const row = this.#list.querySelector(`[data-key="${CSS.escape(conversationId ?? "")}"] a`);
        if (row) row.focus();
        else this.#search.focus();
    }

    #readOn(scroller) {
        const below = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
        if (below < scroller.clientHeight) this.#conversations.loadMore();
    }

    #drawStatus(items) {
        const { error, isLoading } = this.#conversations;
        if (error) this.#tell("notice danger", `The conversations cannot be shown. ${error.message}`);
        else if (isLoading) this.#tell("waiting", "Loading…");
        else if (items.length === 0) this.#tell("empty-list", "No conversations yet. Find somebody above and say hello.");
        else this.#status.replaceChildren();
    }

    #tell(style, words) {
        const shown = this.#status.firstElementChild;
        if (shown?.className === style && shown.textContent === words) return;
        this.#status.replaceChildren(element("p", { class: style }, words));
    }

    #drawAccount(me) {
        const { _id, name, accountType, role } = me;
        const content = `${_id} ${name} ${accountType} ${role}`;
        if (this.#account.dataset.content === content) return;
        this.#account.dataset.content = content;
        const type = role === "admin" ? "Administrator" : accountTypeName(accountType);
        const dashboard = role === "admin" ? [element("a", { class: "link", href: "admin" }, "Dashboard")] : [];
        const signOut = () => this.#session.signOut();
        this.#account.replaceChildren(
            avatar(me),
            element(
                "div", { class: "row-text" },
                element("p", { class: "row-name" }, personName(me)), element("p", { class: "row-more" }, type)),
            ...dashboard,
            element("button", { type: "button", class: "button quiet sign-out", onclick: signOut }, icon("signOut"), "Sign out"));
    }
}

function conversationRow({ _id, otherUser }) {
    const line = (...parts) => element("span", { class: "row-line" }, ...parts);
    return element(
        "li", {},
        element(
            "a", { class: "row", href: `#${_id}` },
            avatar(otherUser),
            element(
                "span", { class: "row-text" },
                line(element("bdi", { class: "row-name" }), element("time", { class: "row-time" })),
                line(element("span", { class: "row-more" }), element("span", { class: "badge" })))));
}

function updateRow(row, { otherUser, lastMessage, unreadCount }, isChosen) {
    setAttribute(row.firstElementChild, "aria-current", isChosen ? "true" : null);
    row.classList.toggle("has-unread", unreadCount > 0);
    if (row.dataset.name !== otherUser.name) {
        row.dataset.name = otherUser.name;
        row.querySelector(".avatar").replaceWith(avatar(otherUser));
        setText(row.querySelector(".row-name"), otherUser.name);
    }
    const time = row.querySelector("time");
    setAttribute(time, "datetime", new Date(lastMessage.createdAt).toISOString());
    setText(time, formatBriefly(lastMessage.createdAt));
    drawPreview(row.querySelector(".row-more"), lastMessage, otherUser);
    drawBadge(row.querySelector(".badge"), unreadCount);
}

function drawPreview(preview, { _id, content, senderId }, otherUser) {
    if (preview.dataset.message === _id) return;
    preview.dataset.message = _id;
    // One line is shown; a very long message need not be in the page for that.
    const start = Array.from(content.slice(0, 400)).slice(0, 200).join("");
    preview.replaceChildren(senderId === otherUser._id ? "" : "You: ", element("bdi", { dir: "auto" }, start));
}

function drawBadge(badge, count) {
    setAttribute(badge, "hidden", count === 0);
    const text = count > 99 ? "99+" : String(count);
    if (badge.dataset.count === text) return;
    badge.dataset.count = text;
    badge.replaceChildren(text, element("span", { class: "unseen" }, " unread"));
}
