import { element } from "./dom.js";

const endedNotice = "Your session has ended. Sign in again to go on.";

/**
 * The form to sign in with, or to sign up. It signs `session` in; who waits for that listens to the session's `change`.
 *
 * @param {string} purpose  one sentence under the heading
 * @param {boolean} canSignUp  whether a new account may be made here
 */
export function signInView({ session, purpose, canSignUp }) {
    const card = element("div", { class: "sign-in-card" });
    const view = element("main", { class: "sign-in" }, card);

    function show(flow, email = "") {
        const isSignUp = flow === "signUp";
        const form = credentialsForm({ session, isSignUp, email });
        const showOther = () => show(isSignUp ? "signIn" : "signUp", form.elements.email.value);
        const other = element(
            "button", { type: "button", class: "link", onclick: showOther }, isSignUp ? "Sign in" : "Create an account");
        const parts = [
            element(
                "header", {},
                element("img", { class: "logo", src: "assets/shared/icon.svg", alt: "" }),
                element("h1", {}, isSignUp ? "Create your account" : "Welcome back"),
                element("p", {}, purpose)),
            session.hasEnded && element("p", { class: "notice warning", role: "status" }, endedNotice),
            form,
            canSignUp && element("footer", {}, isSignUp ? "Already have an account?" : "New here?", other),
        ];
        card.replaceChildren(...parts.filter(Boolean));
        if (view.isConnected) form.elements[isSignUp ? "name" : "email"].focus();
    }

    show("signIn");
    return view;
}

function credentialsForm({ session, isSignUp, email }) {
    const failure = element("p", { class: "notice danger", role: "alert", hidden: true });
    const submit = element("button", { class: "button primary" }, isSignUp ? "Sign up" : "Sign in");

    async function send(event) {
        event.preventDefault();
        if (submit.disabled) return;
        failure.hidden = true;
        submit.disabled = true;
        try {
            const fields = Object.fromEntries(new FormData(form));
            await (isSignUp ? session.signUp(fields) : session.signIn(fields));
        } catch (error) {
            failure.textContent = sentence(error.message);
            failure.hidden = false;
        } finally {
            submit.disabled = false;
        }
    }

    const form = element(
        "form", { onsubmit: send },
        isSignUp && field("Name", { name: "name", autocomplete: "name", required: true, maxlength: 200 }),
        field("E-mail address", {
            name: "email", type: "email", required: true, value: email, autocomplete: isSignUp ? "email" : "username",
        }),
        field("Password", {
            name: "password", type: "password", required: true, minlength: isSignUp && 8,
            autocomplete: isSignUp ? "new-password" : "current-password",
        }, isSignUp && "At least 8 characters."),
        isSignUp && accountTypeChoice(),
        failure, submit);
    return form;
}

/** Some messages begin with a word for programs: `InvalidSecret: the e-mail address …`. */
function sentence(message) {
    const text = message.replace(/^[A-Z]\w+: /, "");
    return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}

function field(label, attributes, hint) {
    const id = `sign-in-${attributes.name}`;
    const hintId = hint && `${id}-hint`;
    return element(
        "div", { class: "field" },
        element("label", { for: id }, label),
        element("input", { id, class: "input", "aria-describedby": hintId, ...attributes }),
        hint && element("p", { id: hintId, class: "hint" }, hint));
}

function accountTypeChoice() {
    const option = (value, label, checked) =>
        element("label", {}, element("input", { type: "radio", name: "accountType", value, checked }), label);
    return element(
        "fieldset", { class: "choice" },
        element("legend", {}, "I am a"), option("client", "Client", true), option("therapist", "Therapist", false));
}
