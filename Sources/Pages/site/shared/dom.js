const svgNamespace = "http://www.w3.org/2000/svg";

/**
 * Makes an element: `element("p", { class: "note", onclick: close }, "text", another)`.
 *
 * Strings become text, never markup, whatever is in them. An attribute that begins with `on` is a listener; false, null and
 * undefined leave an attribute or a child out, and true makes an attribute without a value.
 */
export function element(name, attributes = {}, ...children) {
    return fill(document.createElement(name), attributes, children);
}

/** Makes an SVG element, in the same way. */
export function svg(name, attributes = {}, ...children) {
    return fill(document.createElementNS(svgNamespace, name), attributes, children);
}

function fill(made, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
        else setAttribute(made, name, value);
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return made;
}

/** Sets, changes or removes an attribute, and leaves it alone when it is right already. */
export function setAttribute(target, name, value) {
    if (value === false || value === null || value === undefined) return target.removeAttribute(name);
    const text = value === true ? "" : String(value);
    if (target.getAttribute(name) !== text) target.setAttribute(name, text);
}

/** Changes an element's text, and leaves it alone when it is right already (a reader's selection stays). */
export function setText(target, text) {
    if (target.textContent !== text) target.textContent = text;
}

/** Text that somebody typed, inside of other text: its direction and its marks have no effect on what is around it. */
export function typed(text, attributes = {}) {
    return element("bdi", attributes, text);
}

/**
 * Makes the children of `parent` those of `items`, in their order. Elements of items that were there before stay the same
 * elements, so that focus, selection and scrolling do.
 *
 * @param key  what tells an item from the others
 * @param make  makes the element of an item
 * @param update  brings an element up to date: `(element, item)`
 */
export function updateList(parent, items, { key, make, update = () => {} }) {
    const before = new Map(Array.from(parent.children, (child) => [child.dataset.key, child]));
    let next = parent.firstElementChild;
    for (const item of items) {
        const name = String(key(item));
        let child = before.get(name);
        if (child) {
            before.delete(name);
        } else {
            child = make(item);
            child.dataset.key = name;
        }
        update(child, item);
        if (child === next) next = child.nextElementSibling;
        else parent.insertBefore(child, next);
    }
    for (const gone of before.values()) gone.remove();
}

/** Gives a function that asks for `draw` to be called once before the next frame, however often it is called itself. */
export function oncePerFrame(draw) {
    let isDue = false;
    return () => {
        if (isDue) return;
        isDue = true;
        const run = () => {
            isDue = false;
            draw();
        };
        // A page that nobody sees gets no frames, but its title is seen.
        if (document.hidden) setTimeout(run);
        else requestAnimationFrame(run);
    };
}
