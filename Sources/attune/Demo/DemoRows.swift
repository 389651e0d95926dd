import Foundation

/// Rows that the demo adds to ordinary tables. Their fields are the columns, in JSON with `_` between the words.
enum DemoRows {
    struct User: Encodable {
        let id: String
        let email: String
        let name: String
        let bio: String?
        let role: String
        let accountType: String?
        let passwordHash: String
        let createdAt: Date
    }

    struct Conversation: Encodable {
        let id: String
        let lowUserId: String
        let highUserId: String
        let createdAt: Date
    }

    struct Message: Encodable {
        let id: String
        let conversationId: String
        let senderId: String
        let recipientId: String
        let content: String
        var read: Bool
        let createdAt: Date
    }

    struct Activity: Encodable {
        let workerId: String
        let report: Int
        let sessionId: String
        let userId: String
        let firstAt: Date
        let lastAt: Date
    }

    struct Calls: Encodable {
        let workerId: String
        let report: Int
        let function: String
        let recordedAt: Date
        let calls: Int
        let failedCalls: Int
        let microseconds: Int
        let durations: [Int]
        let counts: [Int]
    }

    struct Event: Encodable {
        struct Metadata: Encodable {
            let details: String
            let source: String
            let context: String?
        }
        let id: String
        let occurredAt: Date
        let type: String
        let severity: String
        let userId: String?
        let ip: String?
        let metadata: Metadata
    }
}
