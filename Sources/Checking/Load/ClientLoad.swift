import Domain
import NIOCore
import Wire

// What people do with the clients: at random, but only what people do.

extension SimulatedClient {
    private static let maximumSubscriptions = 8

    /// Does one thing.
    func actAtRandom() {
        guard !world.isQuiet, impairment != .halfOpen else { return }
        if signIn == nil, random.chance(0.3) { return signInAgain() }
        switch Double.random(in: 0..<1, using: &random) {
        case ..<0.22: subscribeAtRandom()
        case ..<0.32: unsubscribeAtRandom()
        case ..<0.44: loadMore()
        case ..<0.68: sendMessage()
        case ..<0.76: sendMessageOverHTTP()
        case ..<0.87: markAsRead()
        case ..<0.93: updateProfile()
        case ..<0.96: changeIdentity()
        case ..<0.98: authenticate(signIn)
        default: reconnect(saysGoodBye: random.chance(0.5))
        }
        keepListsInBounds()
        if !mutations.isEmpty, random.chance(0.06) { loseConnectionSoon() }
    }

    /// A network that fails when it hurts most: the answer to a mutation is on its way.
    private func loseConnectionSoon() {
        let delay = Int64.random(in: 0...12, using: &random)
        world.loop.scheduleTask(in: .milliseconds(delay)) { [weak self] in self?.reconnect(saysGoodBye: false) }
    }

    // MARK: Subscriptions

    /// What the client watches from the start.
    func subscribeToBegin() {
        for _ in 0..<4 { subscribeAtRandom() }
    }

    private func subscribeAtRandom() {
        if subscriptions.count >= Self.maximumSubscriptions { unsubscribeAtRandom() }
        let listID = Int.random(in: 0..<1000, using: &random)
        switch Double.random(in: 0..<1, using: &random) {
        case ..<0.4:
            guard let conversation = someConversation() else { return }
            let count = Int.random(in: 2...6, using: &random)
            if random.chance(0.15) {
                subscribe([(.messages(conversation, nil), nil)])
            } else {
                subscribe([(.messages(conversation, .init(count: count, id: listID)), listID)])
            }
        case ..<0.55: subscribe([(.conversations(nil), nil)])
        case ..<0.67:
            subscribe([(.conversations(.init(count: Int.random(in: 1...4, using: &random), id: listID)), listID)])
        case ..<0.8:
            guard let account = random.pick(world.accounts) else { return }
            // Now and then somebody who never was.
            let unknown = UserID(UUIDBits(high: random.next(), low: random.next()))
            subscribe([(.profile(random.chance(0.95) ? account.id : unknown), nil)])
        case ..<0.9: subscribe([(.search(random.pick(Names.searches)!), nil)])
        case ..<0.96: subscribe([(.currentUser, nil)])
        case ..<0.98:
            // A cursor of some list with another one, or one that is none.
            guard let conversation = someConversation() else { return }
            let cursor = subscriptions.values.compactMap { $0.query.page?.cursor }.sorted().first ?? "none"
            subscribe([(.messages(conversation, .init(count: 3, cursor: cursor, id: listID)), nil)])
        default: subscribe([(.isAuthenticated, nil)])
        }
    }

    /// Mostly one of its own; sometimes another's, which it must not see, or none at all.
    private func someConversation() -> ConversationID? {
        let own = world.conversations.filter { conversation in signIn.map { conversation.members.contains($0.user) } ?? false }
        if !own.isEmpty, random.chance(0.88) { return random.pick(own)?.id }
        if random.chance(0.3) { return ConversationID(UUIDBits(high: random.next(), low: random.next())) }
        return random.pick(world.conversations)?.id
    }

    private func unsubscribeAtRandom() {
        guard let id = random.pick(Array(subscriptions.keys).sorted()) else { return }
        if let list = subscriptions[id]?.listID {
            unsubscribe(subscriptions.filter { $0.value.listID == list }.keys.sorted())
        } else {
            unsubscribe([id])
        }
    }

    /// As usePaginatedQuery does: the next page begins where the last one ended.
    private func loadMore() {
        let lists = Set(subscriptions.values.compactMap(\.listID)).sorted()
        guard let list = random.pick(lists), let last = lastPage(of: list), case .value(let value)? = last.shown,
            value["isDone"]?.boolValue == false, let cursor = value["continueCursor"]?.stringValue
        else { return }
        subscribe([(last.query.with(cursor: cursor, endCursor: nil), list)])
    }

    /// The page behind which no other page of the list begins.
    private func lastPage(of list: Int) -> Subscription? {
        let pages = subscriptions.filter { $0.value.listID == list }
        let starts = Set(pages.values.compactMap { $0.query.page?.cursor })
        return pages.sorted { $0.key < $1.key }.map(\.value).first { page in
            guard case .value(let value)? = page.shown, let cursor = value["continueCursor"]?.stringValue else { return false }
            return !starts.contains(cursor)
        }
    }

    /// Pages that have grown to twice their size are split, and lists that have become long are begun anew.
    private func keepListsInBounds() {
        for (id, subscription) in subscriptions.sorted(by: { $0.key < $1.key }) {
            guard case .value(let value)? = subscription.shown, let rows = value["page"]?.arrayValue?.count else { continue }
            guard let request = subscription.query.page, let list = subscription.listID else {
                if rows > 150 { unsubscribe([id]) }
                continue
            }
            if rows > 60 {
                unsubscribe(subscriptions.filter { $0.value.listID == list }.keys.sorted())
            } else if rows > 2 * request.count, let middle = value["splitCursor"]?.stringValue,
                let end = value["continueCursor"]?.stringValue
            {
                subscribe([
                    (subscription.query.with(cursor: request.cursor, endCursor: middle), list),
                    (subscription.query.with(cursor: middle, endCursor: end), list),
                ])
                unsubscribe([id])
            }
        }
    }

    // MARK: Mutations

    private func someRecipient() -> UserID? {
        guard let user = signIn?.user else { return nil }
        let own = world.conversations.filter { $0.members.contains(user) }
        if let conversation = random.pick(own), random.chance(0.9) { return conversation.members.first { $0 != user } }
        return random.pick(world.accounts.filter { $0.id != user })?.id
    }

    private func sendMessage() {
        guard let recipient = someRecipient() else { return }
        let hasName = random.chance(0.5)
        let content = newContent(kind == .javaScript ? .request : hasName ? .name : .none)
        mutate(
            "messages:send", Self.messageArguments(content, recipient, name: hasName ? content : nil),
            .message(content: content))
    }

    /// A request that got no answer is made again, under the same name.
    private func sendMessageOverHTTP() {
        guard let recipient = someRecipient(), let signIn else { return }
        let hasName = random.chance(0.7)
        let content = newContent(hasName ? .name : .none)
        let arguments = Self.messageArguments(content, recipient, name: hasName ? content : nil)
        let sendsTwice = random.chance(0.1)
        Task { [world, name] in
            var sends = 0
            for _ in 0..<4 {
                sends += 1
                let outcome = await API(port: world.port).call("mutation", "messages:send", arguments, token: signIn.token)
                let isLast: Bool
                switch outcome {
                case .success(let id):
                    world.statistics.count { $0.mutationsAcknowledged += 1 }
                    world.report(
                        .answer(
                            MutationAnswer(
                                client: name, request: nil, effect: .message(content: content),
                                outcome: .success(id, timestamp: nil), sends: sends)))
                    isLast = !(hasName && sendsTwice)
                case .failure(let code):
                    world.report(
                        .answer(
                            MutationAnswer(
                                client: name, request: nil, effect: .message(content: content),
                                outcome: .failure(code: code), sends: sends)))
                    isLast = true
                case .refused(let status):
                    if status == 401 {
                        world.report(.refusal(IdentityRefusal(client: name, signIn: signIn, message: "401 to a mutation over HTTP")))
                    }
                    isLast = !hasName
                case .unknown: isLast = !hasName
                }
                if isLast { return }
                try? await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    private func newContent(_ uniqueness: Uniqueness) -> String {
        let words = ["it's late", "naïve \"quoted\"", "line\nbreak", "🙂 emoji", "back\\slash", "plain", "new-tuple: [text]:'x'"]
        return "\(uniqueness.rawValue) \(random.uuid()) \(random.pick(words)!)"
    }

    private static func messageArguments(_ content: String, _ recipient: UserID, name: String?) -> JSON {
        var members: [JSON.Member] = [
            .init(key: "content", value: .string(content)), .init(key: "recipientId", value: .string(recipient.description)),
        ]
        if let name { members.append(.init(key: "clientMessageId", value: .string(String(name.prefix(100))))) }
        return .object(members)
    }

    private func markAsRead() {
        guard let user = signIn?.user else { return }
        var unread: [MessageID] = []
        for subscription in subscriptions.values {
            guard case .messages = subscription.query, case .value(let value)? = subscription.shown else { continue }
            for row in value["page"]?.arrayValue ?? [] where row["recipientId"]?.stringValue == user.description {
                if row["read"]?.boolValue == false, let id = row["_id"]?.stringValue.flatMap({ MessageID($0) }) { unread.append(id) }
            }
        }
        guard !unread.isEmpty else { return }
        let ids = Array(Set(unread)).sorted().prefix(Int.random(in: 1...8, using: &random))
        mutate(
            "messages:markAsRead", .record(["messageIds": .array(ids.map { .string($0.description) })]), .read(Array(ids)))
    }

    private func updateProfile() {
        guard signIn != nil else { return }
        let bio = "bio \(random.uuid())"
        var members: [JSON.Member] = [.init(key: "bio", value: .string(bio))]
        if random.chance(0.4) { members.append(.init(key: "name", value: .string(Names.random(&random)))) }
        if random.chance(0.2) { members.append(.init(key: "avatarUrl", value: .string("https://example.org/\(random.next())"))) }
        mutate("users:updateProfile", .object(members), .bio(bio))
    }

    // MARK: Who it is

    private func changeIdentity() {
        guard let signIn else { return signInAgain() }
        switch Double.random(in: 0..<1, using: &random) {
        case ..<0.5: signOutOverHTTP(signIn)
        case ..<0.8:
            act("auth:signOut", .object([])) { client, response in
                guard response["success"]?.boolValue == true else { return }
                client.world.identityLosses.acknowledge(.end(of: signIn.session))
                client.world.statistics.count { $0.signOuts += 1 }
                // A session that has ended closes JavaScript's sockets; before that happens it says so itself.
                if client.signIn?.session == signIn.session { client.authenticate(nil) }
            }
        default: authenticate(nil)
        }
    }

    private func signOutOverHTTP(_ signIn: World.SignIn) {
        Task { [world] in
            guard case .success = await API(port: world.port).call("action", "auth:signOut", .object([]), token: signIn.token) else { return }
            world.statistics.count { $0.signOuts += 1 }
            world.loop.execute { world.identityLosses.acknowledge(.end(of: signIn.session)) }
        }
    }
}

extension Query {
    func with(cursor: String?, endCursor: String?) -> Query {
        guard var page else { return self }
        page.cursor = cursor
        page.endCursor = endCursor
        switch self {
        case .messages(let conversation, _): return .messages(conversation, page)
        case .conversations: return .conversations(page)
        default: return self
        }
    }
}

/// Names that are alike, so that searches find several.
enum Names {
    private static let first = ["Anna", "Änne", "Joanna", "Bob", "José", "Joseph", "Hannah", "Ann", "Dana", "Zoë", "Bo"]
    private static let last = ["Meyer", "Maier", "Annan", "Bobek", "O'Hara", "Zo-Ann", "Núñez", "Ann", "Han"]

    static let searches = ["an", "ann", "ANNA", "bo", "jos", "é", "ä", "han", "y", "meyer", " zo ", "o'h", "nothing", "a", "%", "e m"]

    static func random(_ random: inout SplitMix64) -> String {
        "\(random.pick(first)!) \(random.pick(last)!)\(random.chance(0.3) ? " \(Int.random(in: 1...9, using: &random))" : "")"
    }
}
