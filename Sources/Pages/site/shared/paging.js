/**
 * A list that is read page by page, of which every page that has been read stays live: rows that come, go or move are seen at
 * once, and none is shown twice or left out. It works with every query that takes `paginationOpts`.
 */
export class PagedQuery {
    #client;
    #path;
    #args;
    #pageSize;
    #onChange;
    #pages = [];

    /** @param {(list: PagedQuery) => void} onChange  called with each change of the pages that have been read */
    constructor(client, path, args, { pageSize, onChange }) {
        this.#client = client;
        this.#path = path;
        this.#args = args;
        this.#pageSize = pageSize;
        this.#onChange = onChange;
        this.#startOver();
    }

    /** The rows that have been read, in the order of the list. */
    get items() {
        return this.#loadedPages.flatMap((page) => page.query.value.page);
    }

    /** Whether the next page, or the first, is on its way. */
    get isLoading() {
        return this.#pages.some((page) => page.query.isLoading);
    }

    /** Whether nothing has been read yet. */
    get isEmpty() {
        return this.#loadedPages.length === 0;
    }

    /** Whether there are rows behind those that have been read. */
    get hasMore() {
        return !this.isLoading && this.#pages.at(-1).query.value?.isDone === false;
    }

    /** Why a page could not be read. */
    get error() {
        return this.#pages.find((page) => page.query.error)?.query.error;
    }

    /** Reads the next page. */
    loadMore() {
        if (this.hasMore) this.#pages.push(this.#page({ cursor: this.#pages.at(-1).query.value.continueCursor }));
    }

    close() {
        for (const { query, halves } of this.#pages) for (const each of [query, ...halves]) each.close();
        this.#pages = [];
    }

    get #loadedPages() {
        const end = this.#pages.findIndex((page) => page.query.value === undefined);
        return end < 0 ? this.#pages : this.#pages.slice(0, end);
    }

    #startOver() {
        this.close();
        this.#pages = [this.#page({ cursor: null })];
    }

    #page(range) {
        const page = { range, halves: [] };
        page.query = this.#watch(range, () => this.#changed(page));
        return page;
    }

    #watch(range, onChange) {
        const paginationOpts = { numItems: this.#pageSize, ...range };
        return this.#client.watch(this.#path, { ...this.#args, paginationOpts }, onChange);
    }

    #changed(page) {
        // The list's order has become another one, or its secret: cursors mean nothing any more.
        if (page.query.error?.data.paginationError === "InvalidCursor") return this.#startOver();
        if (page.query.value) this.#splitIfLarge(page);
        this.#onChange(this);
    }

    /** A page grows with what is added to its range. Past twice its size it becomes two, once both of them are there. */
    #splitIfLarge(page) {
        const { splitCursor, continueCursor, pageStatus, page: rows } = page.query.value;
        if (page.halves.length > 0 || !splitCursor) return;
        if (!pageStatus && rows.length <= 2 * this.#pageSize) return;
        const ranges = [
            { cursor: page.range.cursor, endCursor: splitCursor },
            { cursor: splitCursor, endCursor: continueCursor },
        ];
        page.halves = ranges.map((range) => this.#watch(range, () => this.#replaceByHalves(page, ranges)));
    }

    #replaceByHalves(page, ranges) {
        if (page.halves.some((half) => half.value === undefined)) return;
        const index = this.#pages.indexOf(page);
        if (index < 0) return;
        const halves = ranges.map((range) => this.#page(range));
        this.#pages.splice(index, 1, ...halves);
        for (const each of [page.query, ...page.halves]) each.close();
    }
}
