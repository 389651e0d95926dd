import Development
import Foundation
@testable import Ingest
import TestSupport
import Testing

@Suite struct TLSTests {
    /// A certificate for `localhost` and its key, as `openssl` makes them.
    private func makeCertificate(
        in folder: ScratchFolder, name: String = "server"
    ) async throws -> (certificate: String, key: String) {
        let paths = (certificate: "\(folder.path)/\(name).crt", key: "\(folder.path)/\(name).key")
        let (exit, output) = try await ChildProcess.run(
            "/usr/bin/openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                "-keyout", paths.key, "-out", paths.certificate,
            ])
        #expect(exit == .code(0), "\(output)")
        return paths
    }

    @Test("events and acknowledgements go over TLS")
    func roundTrip() async throws {
        let spool = try TestSpool()
        let paths = try await makeCertificate(in: spool.folder)
        let identity = try TLSIdentity(certificate: paths.certificate, key: paths.key)
        try await spool.runEvents(tls: identity) { port in
            let program = """
                import socket, ssl
                context = ssl.create_default_context(cafile="\(paths.certificate)")
                with context.wrap_socket(socket.create_connection(("127.0.0.1", \(port))), server_hostname="localhost") as client:
                    client.sendall(b'{"attune":"ack"}\\n' + b'{"type":"sys_startup"}\\n' * 3)
                    text = b""
                    while b'"accepted":3}' not in text: text += client.recv(1000)
                old = ssl.create_default_context(cafile="\(paths.certificate)")
                old.minimum_version = ssl.TLSVersion.TLSv1
                old.maximum_version = ssl.TLSVersion.TLSv1_1
                try:
                    old.wrap_socket(socket.create_connection(("127.0.0.1", \(port))), server_hostname="localhost")
                    print("TLS 1.1 was accepted")
                except ssl.SSLError: pass
                """
            let (exit, output) = try await ChildProcess.run("/usr/bin/python3", ["-W", "ignore", "-c", program])
            #expect(exit == .code(0) && output.isEmpty, "\(output)")
            // Who does not speak TLS is cut off.
            let socket = try TestSocket.connect(port: port)
            try await socket.send(eventLine(1) + eventLine(2))
            _ = try await socket.receiveAll()
        }
        #expect(try spool.storedEvents().count == 3)
    }

    @Test("files that are missing or do not belong together are named")
    func namesWhatIsWrong() async throws {
        let folder = try ScratchFolder()
        let one = try await makeCertificate(in: folder, name: "one")
        let other = try await makeCertificate(in: folder, name: "other")
        let missing = #expect(throws: TLSIdentityError.self) { try TLSIdentity(certificate: folder.path + "/none", key: one.key) }
        #expect(missing?.description == "no certificate can be read from \(folder.path)/none")
        let wrong = #expect(throws: TLSIdentityError.self) { try TLSIdentity(certificate: one.certificate, key: other.key) }
        #expect(wrong?.description == "\(other.key) is not the key of the certificate in \(one.certificate)")
    }
}
