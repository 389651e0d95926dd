import Domain
import Testing
@testable import Wire

private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

@Suite("Messages of the sync protocol")
struct ServerMessageTests {
    @Test("a Transition looks like the protocol's example")
    func transition() {
        let message = ServerMessage.transition(
            from: StateVersion(), to: StateVersion(querySet: 1, identity: 0, timestamp: LogPosition(1234)),
            changes: [.result(queryID: 0, body: .updated(value: Array("[]".utf8), journal: nil))],
            clockSkewMilliseconds: nil, serverNanoseconds: 1_700_000_000_123_456_789)
        #expect(
            text(message)
                == #"{"type":"Transition","startVersion":{"querySet":0,"identity":0,"ts":"AAAAAAAAAAA="},"#
                + #""endVersion":{"querySet":1,"identity":0,"ts":"0gQAAAAAAAA="},"#
                + #""modifications":[{"type":"QueryUpdated","queryId":0,"value":[],"logLines":[],"journal":null}],"#
                + #""serverTs":1700000000123456789}"#)
    }

    @Test("a Transition carries updates, failures and removals, in the order given")
    func modifications() throws {
        let message = ServerMessage.transition(
            from: StateVersion(querySet: 1, identity: 2, timestamp: LogPosition(3)),
            to: StateVersion(querySet: 4_294_967_295, identity: 2, timestamp: LogPosition(4)),
            changes: [
                .result(queryID: 7, body: .updated(value: Array("3.0".utf8), journal: "a\"b")),
                .result(queryID: 8, body: .failed(message: "no\nluck", errorData: Array(#"{"code":"forbidden"}"#.utf8), journal: nil)),
                .result(queryID: 9, body: .failed(message: "no", errorData: nil, journal: "j")),
                .removed(queryID: 10),
            ],
            clockSkewMilliseconds: -12, serverNanoseconds: 5)
        let json = try JSON(parsing: message)
        #expect(
            json["modifications"]
                == (try JSON(
                    parsing: #"""
                        [{"type":"QueryUpdated","queryId":7,"value":3.0,"logLines":[],"journal":"a\"b"},
                         {"type":"QueryFailed","queryId":8,"errorMessage":"no\nluck","logLines":[],"journal":null,
                          "errorData":{"code":"forbidden"}},
                         {"type":"QueryFailed","queryId":9,"errorMessage":"no","logLines":[],"journal":"j"},
                         {"type":"QueryRemoved","queryId":10}]
                        """#.utf8)))
        // Rust reads these as integers: no point, no exponent.
        let raw = text(message)
        #expect(raw.contains(#""endVersion":{"querySet":4294967295,"identity":2,"#))
        #expect(raw.contains(#""queryId":7,"#))
        #expect(raw.contains(#""clientClockSkew":-12,"serverTs":5}"#))
        #expect(raw.contains(#""value":3.0"#))
    }

    @Test("a response tells the result, or why there is none")
    func responses() {
        let success = ServerMessage.Outcome.success(Array("null".utf8))
        let failure = ServerMessage.Outcome.failure(message: "no", errorData: Array("{}".utf8))
        let plainFailure = ServerMessage.Outcome.failure(message: "no", errorData: nil)
        #expect(
            text(ServerMessage.mutationResponse(requestID: 3, outcome: success, timestamp: LogPosition(1234)))
                == #"{"type":"MutationResponse","requestId":3,"success":true,"result":null,"logLines":[],"ts":"0gQAAAAAAAA="}"#)
        #expect(
            text(ServerMessage.mutationResponse(requestID: 4, outcome: failure, timestamp: nil))
                == #"{"type":"MutationResponse","requestId":4,"success":false,"result":"no","logLines":[],"errorData":{},"ts":null}"#)
        #expect(
            text(ServerMessage.actionResponse(requestID: 5, outcome: success))
                == #"{"type":"ActionResponse","requestId":5,"success":true,"result":null,"logLines":[]}"#)
        #expect(
            text(ServerMessage.actionResponse(requestID: 6, outcome: plainFailure))
                == #"{"type":"ActionResponse","requestId":6,"success":false,"result":"no","logLines":[]}"#)
    }

    @Test("errors and pings have the protocol's fields")
    func errors() {
        #expect(
            text(ServerMessage.authError("expired", baseVersion: 2, authUpdateAttempted: true))
                == #"{"type":"AuthError","error":"expired","baseVersion":2,"authUpdateAttempted":true}"#)
        #expect(text(ServerMessage.ping) == #"{"type":"Ping"}"#)
    }

    @Test("a Transition in chunks is put together again, and no chunk ends inside a character", arguments: [4, 5, 7, 64, 10_000])
    func chunks(maximumBytes: Int) throws {
        let original = Array(#"{"type":"Transition","é":"😀😀\n€","quote":"\"","long":"\#(String(repeating: "ü😀a", count: 20))"}"#.utf8)
        let chunks = try ServerMessage.chunks(of: original, maximumBytes: maximumBytes).map { try JSON(parsing: $0) }
        let pieces = chunks.compactMap { $0["chunk"]?.stringValue }
        let numbers = chunks.map { $0["partNumber"]?.counterValue }
        let lengths = pieces.map(\.utf8.count)
        let envelopes = Set(chunks.map { "\($0["type"]?.stringValue ?? "") \($0["totalParts"]?.counterValue ?? 0) \($0["transitionId"]?.stringValue ?? "")" })
        #expect(pieces.count == chunks.count)
        #expect(Array(pieces.joined().utf8) == original)
        #expect(lengths.min()! > 0)
        #expect(lengths.max()! <= maximumBytes)
        #expect(numbers == Array(0..<UInt32(chunks.count)))
        #expect(envelopes == ["TransitionChunk \(chunks.count) \(original.count)"])
    }
}

@Suite("Messages of clients")
struct ClientMessageTests {
    private func message(_ text: String) -> Result<ClientMessage, ProtocolViolation> {
        do throws(ProtocolViolation) {
            return .success(try ClientMessage(parsing: text.utf8))
        } catch {
            return .failure(error)
        }
    }

    @Test("the messages of stock clients are read")
    func stockMessages() {
        #expect(
            message(
                #"""
                {"type":"Connect","sessionId":"018f2f6e-0000-7000-8000-0000000000ff","connectionCount":2,"lastCloseReason":null,
                 "clientTs":1700000000123,"maxObservedTimestamp":"0gQAAAAAAAA="}
                """#)
                == .success(
                    .connect(
                        .init(
                            sessionID: UUIDBits(high: 0x018f_2f6e_0000_7000, low: 0x8000_0000_0000_00ff), connectionCount: 2,
                            lastCloseReason: nil, clientMilliseconds: 1_700_000_000_123, maxObservedTimestamp: LogPosition(1234)))))
        #expect(
            message(
                #"""
                {"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[
                 {"type":"Add","queryId":0,"udfPath":"messages.js:list","args":[{}],"componentPath":"x"},{"type":"Remove","queryId":3}]}
                """#)
                == .success(
                    .modifyQuerySet(
                        baseVersion: 0, newVersion: 1,
                        modifications: [
                            .add(queryID: 0, path: "messages.js:list", arguments: .array([.object([])]), journal: nil),
                            .remove(queryID: 3),
                        ])))
        #expect(
            message(#"{"type":"Mutation","requestId":4,"udfPath":"messages:send","args":[{}]}"#)
                == .success(.mutation(.init(requestID: 4, path: "messages:send", arguments: .array([.object([])])))))
        #expect(
            message(#"{"type":"Authenticate","baseVersion":0,"tokenType":"User","value":"t"}"#)
                == .success(.authenticate(baseVersion: 0, token: .user("t"))))
        #expect(message(#"{"type":"Authenticate","baseVersion":1,"tokenType":"None"}"#) == .success(.authenticate(baseVersion: 1, token: .none)))
        #expect(message(#"{"type":"Event","eventType":"NobodyKnows","event":{"a":[1]}}"#) == .success(.event))
    }

    @Test(
        "a message that breaks the protocol is refused",
        arguments: [
            "", "{}", "[]", "x", #"{"type":"Hello"}"#, #"{"type":"Connect"}"#, #"{"type":"Connect","sessionId":"no uuid"}"#,
            #"{"type":"Connect","sessionId":"018f2f6e-0000-7000-8000-0000000000ff","maxObservedTimestamp":5}"#,
            #"{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1}"#, #"{"type":"ModifyQuerySet","newVersion":1,"modifications":[]}"#,
            #"{"type":"ModifyQuerySet","baseVersion":-1,"newVersion":1,"modifications":[]}"#,
            #"{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1.5,"modifications":[]}"#,
            #"{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[{"type":"Add","queryId":0}]}"#,
            #"{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[{"type":"Change","queryId":0}]}"#,
            #"{"type":"Mutation","udfPath":"a:b","args":[]}"#, #"{"type":"Mutation","requestId":0,"args":[]}"#,
            #"{"type":"Mutation","requestId":4294967296,"udfPath":"a:b","args":[]}"#,
            #"{"type":"Authenticate","baseVersion":0,"tokenType":"User"}"#, #"{"type":"Authenticate","baseVersion":0,"tokenType":"Magic"}"#,
        ])
    func violations(text: String) {
        #expect((try? message(text).get()) == nil)
    }
}
