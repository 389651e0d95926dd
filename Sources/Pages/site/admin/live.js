/** The live queries of a section: opened when it is shown, closed when it is hidden. */
export class LiveQueries {
    #client;
    #queries = new Map();

    constructor(client) {
        this.#client = client;
    }

    /**
     * Watches a query in place of the one that was watched under this name.
     *
     * @param {(query: LiveQuery) => void} onChange  see `SyncClient.watch`
     */
    watch(name, path, args, onChange) {
        this.#queries.get(name)?.close();
        this.#queries.set(name, this.#client.watch(path, args, onChange));
    }

    get isOpen() {
        return this.#queries.size > 0;
    }

    closeAll() {
        for (const query of this.#queries.values()) query.close();
        this.#queries.clear();
    }
}
