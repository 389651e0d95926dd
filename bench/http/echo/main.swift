// What Hummingbird alone can do: reads a request's body and answers with the bytes of a file.
// Usage: bench-echo <port> <answer to api/query> <answer to api/mutation>
import Foundation
import Hummingbird
import Logging

let arguments = CommandLine.arguments
guard arguments.count == 4, let port = Int(arguments[1]) else {
    fatalError("usage: bench-echo <port> <answer to api/query> <answer to api/mutation>")
}

let router = Router()
for (path, file) in [("api/query", arguments[2]), ("api/mutation", arguments[3])] {
    let answer = ByteBuffer(bytes: try Data(contentsOf: URL(fileURLWithPath: file)))
    router.post(RouterPath(path)) { request, _ in
        _ = try await request.body.collect(upTo: 1 << 20)
        return Response(status: .ok, headers: [.contentType: "application/json"], body: .init(byteBuffer: answer))
    }
}
router.get("health") { _, _ in HTTPResponse.Status.ok }

var logger = Logger(label: "bench-echo")
logger.logLevel = .notice
let application = Application(
    router: router, configuration: .init(address: .hostname("127.0.0.1", port: port), backlog: 4096), logger: logger)
try await application.runService()
