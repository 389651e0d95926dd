import { element } from "../shared/dom.js";
import { ConnectionError } from "../shared/errors.js";
import { personName } from "../shared/person.js";

/**
 * Asks whether to remove a user, and does it. A second step is asked for: it cannot be undone.
 *
 * @returns {Promise<boolean>} whether the user was removed, when the dialog is closed
 */
export function openRemoval(user, client) {
    return new Promise((resolve) => {
        let wasRemoved = false;
        const heading = element("h2", { id: "removal-heading" }, "Remove ", personName(user), "?");
        const failure = element("p", { class: "notice danger", role: "alert", hidden: true });
        const understood = element("input", {
            type: "checkbox", id: "removal-understood", onchange: () => (remove.disabled = !understood.checked),
        });
        const remove = element("button", { class: "button danger", disabled: true }, "Remove");
        const close = () => dialog.close();
        const cancel = element("button", { type: "button", class: "button", autofocus: true, onclick: close }, "Cancel");
        const form = element("form", { onsubmit: send },
            heading,
            user.email && element("p", { class: "muted typed" }, user.email),
            element("p", {},
                "They are signed out everywhere at once and cannot sign in again. ",
                "Name, e-mail address, bio and picture are deleted. What they wrote stays readable for those they wrote to."),
            element("div", { class: "confirmation" },
                understood, element("label", { for: understood.id }, "I understand that this cannot be undone")),
            failure,
            element("div", { class: "dialog-choices" }, cancel, remove));
        const dialog = element("dialog", { class: "dialog", "aria-labelledby": heading.id }, form);

        async function send(event) {
            event.preventDefault();
            if (remove.disabled) return;
            remove.disabled = cancel.disabled = true;
            failure.hidden = true;
            try {
                // It would be done when the connection is back, perhaps after somebody has changed their mind.
                if (client.state !== "connected") throw new ConnectionError("There is no connection. Try again when it is back.");
                await client.mutation("admin:removeUser", { userId: user._id });
                wasRemoved = true;
                close();
            } catch (error) {
                failure.textContent = error.message;
                failure.hidden = false;
                remove.disabled = !understood.checked;
                cancel.disabled = false;
            }
        }

        // What has been sent cannot be called back.
        dialog.addEventListener("cancel", (event) => cancel.disabled && event.preventDefault());

        dialog.addEventListener("close", () => {
            dialog.remove();
            resolve(wasRemoved);
        });
        document.querySelector(".dashboard").append(dialog);
        dialog.showModal();
    });
}
