import Domain
@testable import Registry
import Testing
import Wire

/// Arguments with one of everything that functions take.
private let arguments = Arguments(
    .required("content", String.self), .optional("count", Double.self), .optional("ids", [MessageID].self),
    .optional("role", Role.self), .optional("page", PaginationOptions.self), .optional("flag", Bool.self))

/// What a caller is told about arguments that do not fit; nil when they fit.
private func refusal(_ text: String) throws -> FunctionFailure? {
    do {
        _ = try arguments.decode(ConvexValue(decoding: JSON(parsing: text.utf8)))
        return nil
    } catch let failure as ValidationFailure {
        return .arguments(failure, requestID: RequestID("0123456789abcdef"))
    }
}

private let message = MessageID(UUIDBits(high: 0x018f_2f6e_0000_7000, low: 0x8000_0000_0000_0001))
private let user = UserID(UUIDBits(high: 0x018f_2f6e_0000_7000, low: 0x8000_0000_0000_0002))

@Suite("Argument validation")
struct ArgumentTests {
    @Test(
        "arguments that fit are accepted",
        arguments: [
            #"{"content":""}"#, #"{"content":"a","count":3,"flag":false}"#, #"{"content":"a","count":{"$float":"AAAAAAAA+H8="}}"#,
            #"{"content":"a","ids":[]}"#, #"{"content":"a","role":"admin"}"#,
            #"{"content":"a","page":{"numItems":3.0,"cursor":null,"id":7,"endCursor":null,"maximumRowsRead":5,"maximumBytesRead":5}}"#,
        ])
    func fitting(text: String) throws {
        let failure = try refusal(text)
        #expect(failure == nil)
    }

    /// Sentence of the refusal (convex-protocol.md 1.5) and `details.path`.
    @Test(
        "arguments that do not fit are refused with Convex's sentence and the field's path",
        arguments: [
            ("{}", "Object is missing the required field `content`.", ".content"),
            (#"{"content":"a","more":1}"#, "Object contains extra field `more` that is not in the validator.", ".more"),
            (#"{"content":1}"#, "Value does not match validator.", ".content"),
            (#"{"content":null}"#, "Value does not match validator.", ".content"),
            (#"{"content":"a","count":"1"}"#, "Value does not match validator.", ".count"),
            (#"{"content":"a","count":null}"#, "Value does not match validator.", ".count"),
            (#"{"content":"a","count":{"$integer":"BQAAAAAAAAA="}}"#, "Value does not match validator.", ".count"),
            (#"{"content":"a","flag":1}"#, "Value does not match validator.", ".flag"),
            (#"{"content":"a","ids":{}}"#, "Value does not match validator.", ".ids"),
            (#"{"content":"a","ids":["\#(message)",3]}"#, "Value does not match validator.", ".ids[1]"),
            (#"{"content":"a","ids":["\#(message)x"]}"#, "Value does not match validator.", ".ids[0]"),
            (
                #"{"content":"a","ids":["\#(user)"]}"#,
                "Found ID \"\(user)\" from table `users`, which does not match the table name in validator.", ".ids[0]"
            ),
            (
                #"{"content":"a","role":"root"}"#,
                #"`"root"` does not match literal validator `v.union(v.literal("user"), v.literal("admin"))`."#, ".role"
            ),
            ("{\"content\":\"a\\u0000\"}", "Text must not contain the character U+0000.", ".content"),
            (#"{"content":"a","page":{"cursor":null}}"#, "Object is missing the required field `numItems`.", ".page.numItems"),
            (#"{"content":"a","page":{"numItems":1}}"#, "Object is missing the required field `cursor`.", ".page.cursor"),
            (
                #"{"content":"a","page":{"numItems":1,"cursor":null,"offset":1}}"#,
                "Object contains extra field `offset` that is not in the validator.", ".page.offset"
            ),
            (#"{"content":"a","page":{"numItems":"1","cursor":null}}"#, "Value does not match validator.", ".page.numItems"),
            (#"{"content":"a","page":{"numItems":1,"cursor":5}}"#, "Value does not match validator.", ".page.cursor"),
            (#"{"content":"a","page":{"numItems":1,"cursor":null,"id":"a"}}"#, "Value does not match validator.", ".page.id"),
        ])
    func notFitting(text: String, sentence: String, path: String) throws {
        let failure = try #require(try refusal(text))
        #expect(failure.error == APIError(.validationError, sentence, details: ["path": path]))
        #expect(failure.message.hasPrefix("[Request ID: 0123456789abcdef] Server Error\nArgumentValidationError: \(sentence)\n"))
    }

    @Test("a page has 1 to 1000 rows", arguments: ["0", "-1", "1e9", "2.5", "1001", #"{"$float":"AAAAAAAA+H8="}"#, #"{"$float":"AAAAAAAAAIA="}"#])
    func pageSize(number: String) throws {
        let failure = try #require(try refusal(#"{"content":"a","page":{"numItems":\#(number),"cursor":null}}"#))
        #expect(failure.error.code == .validationError)
        #expect(failure.error.details == ["path": ".page.numItems"])
    }

    @Test("the refusal shows path, value and validator on lines of their own")
    func detail() throws {
        let extra = try #require(try refusal(#"{"content":"a","b":2}"#))
        #expect(extra.message.contains("\nObject: {\"b\":2.0,\"content\":\"a\"}\nValidator: v.object({content: v.string(), "))
        #expect(!extra.message.contains("Path:"))
        let nested = try #require(try refusal(#"{"content":"a","ids":[true]}"#))
        #expect(nested.message.hasSuffix("\nPath: .ids[0]\nValue: true\nValidator: v.id(\"messages\")"))
    }

    @Test("a long value is cut in the refusal")
    func longValue() throws {
        let failure = try #require(try refusal(#"{"content":["\#(String(repeating: "é", count: 10_000))"]}"#))
        #expect(failure.message.utf8.count < 2000)
        #expect(failure.message.contains("…"))
    }
}
