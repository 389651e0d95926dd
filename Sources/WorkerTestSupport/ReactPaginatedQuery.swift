import Wire

/// What `usePaginatedQuery` returns, and how it comes to that (convex-protocol.md 5): each page is a live query of its own, and the
/// component's part is to put them in a row, to split those that have grown, and to begin again after an invalid cursor.
public final class ReactPaginatedQuery: Component {
    public enum Status: Sendable {
        case loadingFirstPage, canLoadMore, loadingMore, exhausted
    }

    public struct Rendering: Equatable, Sendable {
        public let results: [JSON]
        public let status: Status
        /// `code` of the ApiError that the component throws.
        public let errorCode: String?
    }

    /// What the component showed, each differing from the one before.
    public private(set) var renderings: [Rendering] = []
    /// How many pages have been replaced by their halves.
    public private(set) var splitCount = 0

    private let path: String
    private let arguments: JSON
    private let initialNumItems: Int
    private unowned let client: ReactClient
    private var pages: [Page] = []
    /// Makes the arguments of this component's pages its own.
    private var id = 0

    private struct Page {
        let query: UInt32
        let cursor: JSON
        let numItems: Int
        /// Take the page's place when both have loaded.
        var halves: [Page] = []
    }

    init(_ path: String, _ arguments: JSON, initialNumItems: Int, client: ReactClient) {
        (self.path, self.arguments, self.initialNumItems, self.client) = (path, arguments, initialNumItems, client)
        begin()
    }

    public var results: [JSON] { renderings.last?.results ?? [] }
    public var status: Status { renderings.last?.status ?? .loadingFirstPage }
    public var errorCode: String? { renderings.last?.errorCode }
    public var pageCount: Int { pages.count }

    /// Asks for the next page, if there is one and it is not on its way.
    public func loadMore(_ numItems: Int) {
        guard status == .canLoadMore, let last = pages.last, case .value(let value) = client.outcome(of: last.query) else { return }
        pages.append(page(from: value["continueCursor"] ?? .null, numItems: numItems))
        client.render()
    }

    private func begin() {
        id += 1
        pages = [page(from: .null, numItems: initialNumItems)]
    }

    private func page(from cursor: JSON, to endCursor: JSON? = nil, numItems: Int) -> Page {
        var options: JSON = ["numItems": .number(Double(numItems)), "cursor": cursor, "id": .number(Double(id))]
        if let endCursor { options = options.setting("endCursor", to: endCursor) }
        return Page(query: client.subscribe(path, arguments.setting("paginationOpts", to: options)), cursor: cursor, numItems: numItems)
    }

    // MARK: Rendering

    func render(_ client: ReactClient) {
        let rendering = settle()
        if rendering != renderings.last { renderings.append(rendering) }
    }

    /// Goes on until nothing is left to split, to replace or to begin again. React throws the renderings in between away.
    private func settle() -> Rendering {
        while true {
            if let rendering = pass() { return rendering }
        }
    }

    /// Looks through the pages once; nil when they are others now.
    private func pass() -> Rendering? {
        var results: [JSON] = []
        var status = Status.loadingFirstPage
        for index in pages.indices {
            switch client.outcome(of: pages[index].query) {
            case nil:
                return Rendering(results: results, status: index == 0 ? .loadingFirstPage : .loadingMore, errorCode: nil)
            case .failure(let message, let data):
                guard message.contains("InvalidCursor") || data?["paginationError"] == "InvalidCursor" else {
                    return Rendering(results: [], status: .loadingFirstPage, errorCode: data?["code"]?.stringValue)
                }
                for page in pages.flatMap({ [$0] + $0.halves }) { client.unsubscribe(page.query) }
                begin()
                return nil
            case .value(let value):
                if replaceByHalves(index) { return nil }
                split(index, value)
                results += value["page"]?.arrayValue ?? []
                status = value["isDone"] == true ? .exhausted : .canLoadMore
            }
        }
        return Rendering(results: results, status: status, errorCode: nil)
    }

    private func replaceByHalves(_ index: Int) -> Bool {
        let halves = pages[index].halves
        guard !halves.isEmpty, halves.allSatisfy({ client.outcome(of: $0.query) != nil }) else { return false }
        client.unsubscribe(pages[index].query)
        pages.replaceSubrange(index...index, with: halves)
        splitCount += 1
        return true
    }

    private func split(_ index: Int, _ value: JSON) {
        let page = pages[index]
        guard page.halves.isEmpty, let middle = value["splitCursor"], middle != .null, let end = value["continueCursor"] else { return }
        let isAdvised = value["pageStatus"] == "SplitRecommended" || value["pageStatus"] == "SplitRequired"
        guard isAdvised || (value["page"]?.arrayValue?.count ?? 0) > 2 * initialNumItems else { return }
        pages[index].halves = [
            self.page(from: page.cursor, to: middle, numItems: page.numItems), self.page(from: middle, to: end, numItems: page.numItems),
        ]
    }
}
