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
        for (const page of this.#pages.flatMap((page) => [page, ...page.halves])) page.query.close();
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
        const page = { range, halves: [], whole: null };
        const paginationOpts = { numItems: this.#pageSize, ...range };
        const args = { ...this.#args, paginationOpts };
        page.query = this.#client.watch(this.#path, args, () => this.#changed(page));
        return page;
    }

    #changed(page) {
        // The server does not know this cursor (any more), so its neighbours mean nothing either.
        if (page.query.error?.data.paginationError === "InvalidCursor") this.#startOver();
        else if (page.whole) this.#replaceByHalves(page.whole);
        else if (page.query.value) this.#splitIfLarge(page);
        this.#onChange(this);
    }

    /** A page grows with what is added to its range. Past twice its size it becomes two, once both of them are there. */
    #splitIfLarge(page) {
        const { splitCursor, continueCursor, pageStatus, page: rows } = page.query.value;
        if (page.halves.length > 0 || !splitCursor) return;
        if (!pageStatus && rows.length <= 2 * this.#pageSize) return;
        page.halves = [
            this.#page({ cursor: page.range.cursor, endCursor: splitCursor }),
            this.#page({ cursor: splitCursor, endCursor: continueCursor }),
        ];
        for (const half of page.halves) half.whole = page;
    }

    #replaceByHalves(page) {
        if (page.halves.some((half) => half.query.value === undefined)) return;
        for (const half of page.halves) half.whole = null;
        this.#pages.splice(this.#pages.indexOf(page), 1, ...page.halves);
        page.query.close();
    }
}
