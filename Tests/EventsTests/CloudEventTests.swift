import Domain
import Events
import Testing

@Suite("CloudEvents")
struct CloudEventTests {
    @Test("the attributes and the data of a structured event are read")
    func structured() throws {
        let event = try read(
            """
            {"specversion": "1.0", "id": "A234-1234-1234", "source": "https://example.com/gate", "type": "authn_login_fail",
             "time": "2026-11-23T01:59:58Z", "subject": "alice", "datacontenttype": "application/json", "traceparent": "00-1",
             "data": {"severity": "error", "userId": "user_01h455vb4pex5vsknk084sn02q", "ip": "2001:db8::1", "message": "No",
                      "attempt": 3, "id": 9, "metadata": {"context": "text"}}}
            """
        ).get()
        #expect(
            event == ReportedEvent(
                source: "https://example.com/gate", id: "A234-1234-1234", occurredAt: Instant(milliseconds: 1_795_399_198_000),
                type: "authn_login_fail", severity: .high, userID: UserID("user_01h455vb4pex5vsknk084sn02q"),
                ip: IPAddress("2001:db8::1"), details: "No",
                context: #"{"context":"text","subject":"alice","traceparent":"00-1","attempt":3,"id":9}"#))
    }

    @Test("data before the version is read as well")
    func order() throws {
        #expect(try event(with: #""data":{"ip":"::1"},"specversion":"1.0""#).ip == IPAddress("::1"))
    }

    @Test("other data is kept in the context", arguments: [
        (#""data":"text""#, #"{"data":"text"}"#), (#""data":[1,2]"#, #"{"data":[1,2]}"#), (#""data":null"#, nil),
        (#""data_base64":"AAECAw==""#, #"{"data_base64":"AAECAw=="}"#),
    ])
    func otherData(member: String, context: String?) throws {
        #expect(try event(with: #""specversion":"1.0",\#(member)"#).context == context)
    }

    @Test("of base64 the beginning is kept")
    func base64() throws {
        let base64 = String(repeating: "A", count: 9_000)
        let context = try event(with: #""specversion":"1.0","data_base64":"\#(base64)","x":1"#).context
        #expect(context == #"{"data_base64":"\#(String(repeating: "A", count: 1_021))…","x":1}"#)
    }

    @Test("other versions are refused", arguments: [#""0.3""#, #""2.0""#, "1.0", "{}"])
    func versions(version: String) {
        #expect(read(#"{"specversion":\#(version),"type":"t"}"#).reason == "specversion is not 1.0")
    }

    @Test("in binary mode the attributes are headers")
    func binary() throws {
        let headers = [
            "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/gate%20%C3%A9", "ce-type": "authz_fail",
            "ce-time": "2026-11-23T01:59:58Z", "ce-tenant": "100%", "content-type": "application/json; charset=utf-8",
            "host": "localhost",
        ]
        let isBinary = EventReader.isBinaryCloudEvent(headers: headers)
        #expect(isBinary)
        let reader = EventReader(defaultSource: "default")
        let event = try reader.readBinaryCloudEvent(
            headers: headers, body: Array(#" {"severity":"high","details":"No"}"#.utf8)[1...], receivedAt: receivedAt)
        #expect(
            event == ReportedEvent(
                source: "/gate é", id: "1", occurredAt: Instant(milliseconds: 1_795_399_198_000), type: "authz_fail",
                severity: .high, details: "No", context: #"{"tenant":"100%"}"#))
    }

    @Test("in binary mode the data may be missing, text or broken")
    func binaryData() throws {
        let reader = EventReader(defaultSource: "default")
        func context(_ body: String, _ contentType: String?) throws -> String? {
            var headers = ["ce-specversion": "1.0", "ce-type": "t"]
            headers["content-type"] = contentType
            return try reader.readBinaryCloudEvent(headers: headers, body: Array(body.utf8)[...], receivedAt: receivedAt).context
        }
        #expect(try context("", "application/json") == nil)
        #expect(try context("a \"text\"", "text/plain") == #"{"data":"a \"text\""}"#)
        #expect(try context(#"{"a":1}"#, nil) == #"{"a":1}"#)
        #expect(throws: EventRejection.self) { try context(#"{"a":1},"type":"u""#, "application/json") }
        #expect(throws: EventRejection.self) { try context(#"{"a":"#, "application/problem+json") }
    }
}
