import { element, setAttribute, setText } from "../shared/dom.js";
import { PagedQuery } from "../shared/paging.js";
import { accountTypeName, avatar } from "../shared/person.js";
import { Composer } from "./composer.js";
import { icon } from "./icons.js";
import { MessageLog } from "./message-log.js";

const pageSize = 30;
const largestFirstPage = 200;

/** The talk with one person: its messages, and a field to write another one. */
export class Conversation {
    view;
    personId;

    #client;
    #outbox;
    #redraw;
    #header = element("header", { class: "conversation-header" });
    #heading = element("h2", { tabindex: "-1" });
    #name = element("bdi", { dir: "auto" });
    #type = element("p", { class: "row-more" });
    #picture = element("span");
    #composer;
    #refusal = element("p", { class: "notice composer-refusal", hidden: true });
    #log;
    /** Undefined until the first message was written. */
    #messages;

    constructor({ client, outbox, drafts, personId, redraw }) {
        this.#client = client;
        this.#outbox = outbox;
        this.#redraw = redraw;
        this.personId = personId;
        this.#heading.append(this.#name);
        this.#header.append(
            element("a", { class: "button quiet round back", href: "#", "aria-label": "Back to conversations" }, icon("back")),
            this.#picture,
            element("div", { class: "row-text" }, this.#heading, this.#type));
        this.#log = new MessageLog({ client, onNearStart: () => this.#messages?.loadMore(), outbox });
        this.#composer = new Composer({ personId, drafts, onSend: (content) => this.#send(content) });
        this.view = element(
            "div", { class: "conversation-content" }, this.#header, this.#log.view, this.#refusal, this.#composer.view);
    }

    /** Brings everything up to date; `summary` is the inbox's row, if there is one. */
    draw({ person, summary }) {
        if (summary && !this.#messages) this.#open(summary);
        this.#drawPerson(person);
        this.#log.draw({ person, list: this.#messages, outgoing: this.#outbox.messagesTo(person._id) });
    }

    /** Where somebody who opened the conversation goes on: the field to write in, unless that would cover half of the screen. */
    focus() {
        const hasKeyboard = matchMedia("(hover: hover)").matches;
        if (hasKeyboard && !this.#composer.view.hidden) this.#composer.focus();
        else this.#heading.focus();
    }

    close() {
        this.#messages?.close();
        this.#log.close();
        this.#composer.close();
    }

    #open({ _id, unreadCount }) {
        // What is unread is to be there at once, to begin reading where one left off.
        const firstPage = Math.max(pageSize, Math.min(largestFirstPage, unreadCount + 5));
        this.#messages = new PagedQuery(
            this.#client, "messages:list", { conversationId: _id }, { pageSize: firstPage, onChange: this.#redraw });
    }

    #send(content) {
        this.#log.followNextMessage();
        this.#outbox.send(this.personId, content);
    }

    #drawPerson(person) {
        const { name, accountType, isRemoved = false } = person;
        if (this.#name.textContent !== name) {
            setText(this.#name, name);
            this.#picture.replaceChildren(avatar(person));
        }
        setText(this.#type, accountTypeName(accountType));
        setText(this.#refusal, "This account has been removed. You can still read the conversation, but not write in it.");
        this.#refusal.hidden = !isRemoved;
        setAttribute(this.#composer.view, "hidden", isRemoved);
    }
}
