import Domain
import Logging
import NIOCore
import Postgres
import Synchronization

/// Other writers: people at psql and programs of their own, who change the tables without asking the server.
final class SQLLoad: Sendable {
    private let client: PostgresClient
    private let world: World

    init(connectionString: String, world: World, logger: Logger) {
        var configuration = PostgresClient.Configuration(
            connection: ConnectionSettings(connectionString: connectionString, applicationName: "checker load"))
        configuration.readers = 1
        configuration.writers = 2
        configuration.leases = 6
        client = PostgresClient(configuration, logger: logger)
        self.world = world
    }

    func close() async { await client.close() }

    /// The people and conversations that there are.
    private func people() async -> (accounts: [World.Account], conversations: [(id: ConversationID, members: [UserID])]) {
        await withCheckedContinuation { continuation in
            world.loop.execute { [world] in continuation.resume(returning: (world.livingAccounts, world.conversations)) }
        }
    }

    // MARK: Beginnings

    /// Makes conversations among the accounts, with some messages.
    func makeConversations(_ random: inout SplitMix64) async throws {
        let accounts = await people().accounts
        var made: [(ConversationID, [UserID])] = []
        for index in accounts.indices {
            for step in [1, 3, 7] {
                let (one, other) = (accounts[index].id, accounts[(index + step) % accounts.count].id)
                guard one != other, !made.contains(where: { Set($0.1) == [one, other] }) else { continue }
                let row = try await client.write(Self.makeConversation(min(one, other).uuid.description, max(one, other).uuid.description))
                guard let row = row.first else { continue }
                let id = ConversationID(UUIDBits(try row.decode(0, as: String.self))!)
                made.append((id, [one, other]))
                for _ in 0..<Int.random(in: 0...12, using: &random) {
                    let isForward = random.chance(0.5)
                    try await run(Self.insertion(id, from: isForward ? one : other, to: isForward ? other : one, &random))
                }
            }
        }
        let conversations = made.map { (id: $0.0, members: $0.1) }
        await withCheckedContinuation { continuation in
            world.loop.execute { [world] in
                world.conversations = conversations
                continuation.resume()
            }
        }
    }

    private static let makeConversation = Statement(
        "load.make_conversation",
        """
        INSERT INTO conversations (low_user_id, high_user_id)
        VALUES ($1::text::uuid, $2::text::uuid)
        ON CONFLICT DO NOTHING
        RETURNING id::text
        """)

    // MARK: Writing

    /// Writes something. Fails quietly: the database may be away, or another writer in the way.
    func actAtRandom(_ random: inout SplitMix64) async {
        let (accounts, conversations) = await people()
        guard let conversation = random.pick(conversations), let account = random.pick(accounts) else { return }
        let sender = random.chance(0.5) ? 0 : 1
        let insertion = { (random: inout SplitMix64) in
            Self.insertion(conversation.id, from: conversation.members[sender], to: conversation.members[1 - sender], &random)
        }
        let script: String
        switch Double.random(in: 0..<1, using: &random) {
        case ..<0.3: script = insertion(&random)
        case ..<0.4:
            // Several tables at once, which have to be seen at once.
            script = """
                BEGIN;
                \(insertion(&random));
                UPDATE users SET name = '\(Self.quote(Names.random(&random)))' WHERE id = '\(account.id.uuid)';
                UPDATE messages SET read = true WHERE conversation_id = '\(conversation.id.uuid)' AND NOT read;
                COMMIT
                """
        case ..<0.5: script = "UPDATE messages SET content = content || '.', read = NOT read WHERE \(Self.somewhere(conversation.id, &random))"
        case ..<0.62: script = "DELETE FROM messages WHERE \(Self.somewhere(conversation.id, &random))"
        case ..<0.7: script = "BEGIN; \(insertion(&random)); DELETE FROM messages WHERE conversation_id = '\(conversation.id.uuid)'; ROLLBACK"
        case ..<0.8: script = "BEGIN; SET LOCAL synchronous_commit = off; \(insertion(&random)); COMMIT"
        case ..<0.85:
            script = "BEGIN; SAVEPOINT one; \(insertion(&random)); ROLLBACK TO one; \(insertion(&random)); COMMIT"
        case ..<0.9:
            // An id of the past: a row that appears in the midst of pages.
            script = """
                INSERT INTO messages (id, conversation_id, sender_id, recipient_id, content)
                SELECT overlay(id::text PLACING '\(String(random.uuid().suffix(12)))' FROM 25)::uuid, conversation_id, sender_id, recipient_id,
                       'past \(random.uuid())'
                FROM messages WHERE \(Self.somewhere(conversation.id, &random))
                """
        case ..<0.94: script = "SELECT pg_logical_emit_message(true, 'attune.topics', 'messages,users')"
        case ..<0.97: script = "UPDATE users SET bio = NULL, account_type = 'therapist' WHERE id = '\(account.id.uuid)'"
        default: return await changeRole(of: account.id)
        }
        try? await run(script)
    }

    private func changeRole(of user: UserID) async {
        let script = "UPDATE users SET role = CASE role WHEN 'admin' THEN 'user' ELSE 'admin' END WHERE id = '\(user.uuid)'"
        guard (try? await run(script)) != nil else { return }
        world.loop.execute { [world] in world.identityLosses.acknowledge(.role(user)) }
    }

    /// Many commits in a short time.
    func writeInBulk(_ random: inout SplitMix64, count: Int) async {
        let conversations = await people().conversations
        for _ in 0..<count {
            guard let conversation = random.pick(conversations) else { return }
            let script = Self.insertion(conversation.id, from: conversation.members[0], to: conversation.members[1], &random)
            try? await run(random.chance(0.5) ? "BEGIN; SET LOCAL synchronous_commit = off; \(script); COMMIT" : script)
        }
    }

    /// Deletes old messages, so that a long run stays as quick as a short one.
    func tidy() async {
        try? await run(
            """
            DELETE FROM messages WHERE (conversation_id, id) IN (
                SELECT conversation_id, id FROM (
                    SELECT conversation_id, id, row_number() OVER (PARTITION BY conversation_id ORDER BY id DESC) AS number FROM messages
                ) AS numbered WHERE number > 80)
            """)
    }

    /// Removes an account, as the operator's tool does.
    func remove(_ account: World.Account) async -> Bool {
        let script = """
            BEGIN;
            UPDATE users SET removed_at = now(), email = NULL, password_hash = NULL, bio = NULL, avatar_url = NULL WHERE id = '\(account.id.uuid)';
            UPDATE sessions SET ended_at = now() WHERE user_id = '\(account.id.uuid)' AND ended_at IS NULL;
            COMMIT
            """
        return (try? await run(script)) != nil
    }

    /// Keeps a transaction that has written open. New replication slots wait for its end.
    func holdTransaction(for duration: Duration) async {
        try? await client.withTransaction { transaction in
            _ = try await transaction.execute(Self.touch())
            try await Task.sleep(for: duration)
        }
    }

    private static let touch = Statement("load.touch", "SELECT pg_current_xact_id()::text")

    private func run(_ script: String) async throws {
        try await client.withConnection { connection in
            do {
                _ = try await connection.runScript(script, name: "load.script")
            } catch {
                // Whatever is left of a transaction.
                _ = try? await connection.runScript("ROLLBACK", name: "load.rollback")
                throw error
            }
        }
    }

    private static func insertion(
        _ conversation: ConversationID, from sender: UserID, to recipient: UserID, _ random: inout SplitMix64
    ) -> String {
        """
        INSERT INTO messages (conversation_id, sender_id, recipient_id, content)
        VALUES ('\(conversation.uuid)', '\(sender.uuid)', '\(recipient.uuid)', '\(random.uuid()) it''s SQL')
        """
    }

    /// One or two of the conversation's latest messages.
    private static func somewhere(_ conversation: ConversationID, _ random: inout SplitMix64) -> String {
        """
        (conversation_id, id) IN (
            SELECT conversation_id, id FROM messages WHERE conversation_id = '\(conversation.uuid)'
            ORDER BY id DESC OFFSET \(Int.random(in: 0..<8, using: &random)) LIMIT \(Int.random(in: 1...2, using: &random)))
        """
    }

    private static func quote(_ text: String) -> String { text.replacing("'", with: "''") }
}
