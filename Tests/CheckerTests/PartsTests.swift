import Testing

@testable import Checking

@Suite("Parts of the checker")
struct PartsTests {
    @Test("a changed row is read from the log's text, whatever its values hold")
    func changedRow() throws {
        let line = """
            table public.messages: INSERT: id[uuid]:'0190' content[text]:'it''s new-tuple: [text]:''x''
            \\ 🙂' read[boolean]:false client_message_id[text]:null
            """
        let change = try #require(try ChangeText.parse(line))
        #expect(change.table == "messages")
        #expect(change.kind == .insert)
        #expect(change.columns == ["id": "0190", "content": "it's new-tuple: [text]:'x'\n\\ 🙂", "read": "false", "client_message_id": nil])
    }

    @Test("old key and new row are told apart, and a value that has not changed is none")
    func changedKey() throws {
        let line = """
            table public.users: UPDATE: old-key: id[uuid]:'1' new-tuple: id[uuid]:'2' bio[text]:unchanged-toast-datum \
            created_at[timestamp with time zone]:'2026-11-22 22:35:14.5+00'
            """
        let change = try #require(try ChangeText.parse(line))
        #expect(change.oldKey == ["id": "1"])
        #expect(change.columns == ["id": "2", "created_at": "2026-11-22 22:35:14.5+00"])
        #expect(try ChangeText.parse("BEGIN") == nil)
    }

    @Test("timestamps are milliseconds since 1970", arguments: [
        ("1970-01-01 00:00:00+00", 0.0), ("2026-11-22 22:35:14.123456+00", 1_795_386_914_123.456), ("2024-02-29 12:00:00.5+00", 1_709_208_000_500),
    ])
    func timestamps(text: String, expected: Double) {
        #expect(milliseconds(ofTimestamp: text) == expected)
    }

    @Test("a row's versions are found by position")
    func versions() {
        var versions = Versions<String>()
        versions.append("first", at: .init(10))
        versions.append("second", at: .init(20))
        versions.append("changed in the same commit", at: .init(20))
        versions.append(nil, at: .init(30))
        #expect([9, 10, 19, 20, 29, 30].map { versions.at(.init($0)) } == [nil, "first", "first", "changed in the same commit", "changed in the same commit", nil])
    }

    @Test("the shipped configuration of nginx is given the workers' ports and the header that names them")
    func proxy() throws {
        let adapted = try Proxy.adapted(
            """
            upstream attune {
                server 127.0.0.1:3210 max_fails=0;
                server 127.0.0.1:3211 max_fails=0;
            }
            server {
                listen 80;
                listen [::]:80;
            }
            """, port: 5000, workers: [1, 2, 3])
        #expect(
            adapted == """
                upstream attune {
                    server 127.0.0.1:1 max_fails=0;
                    server 127.0.0.1:2 max_fails=0;
                    server 127.0.0.1:3 max_fails=0;
                }
                server {
                    listen 127.0.0.1:5000;
                    add_header Attune-Worker $upstream_addr always;
                }
                """)
    }
}
