// The load of `script/bench live`: sync sockets, and sends at a fixed rate.
// Usage: bench-live <port of the worker> <PostgreSQL connection string> <file of accounts>
// Reads commands, one JSON object a line, and answers each with one. See `Command`; measure.py gives them.
import Foundation

let arguments = CommandLine.arguments
guard arguments.count == 4, let port = Int(arguments[1]) else {
    fatalError("usage: bench-live <port> <connection string> <file of accounts>")
}
let session = LoadSession(port: port, connectionString: arguments[2], accounts: try Account.read(arguments[3]))
while let line = readLine() {
    let answer: Answer
    do {
        answer = try session.run(try JSONDecoder().decode(Command.self, from: Data(line.utf8)))
    } catch {
        answer = Answer(failure: "\(error)")
    }
    FileHandle.standardOutput.write(try JSONEncoder().encode(answer) + Data("\n".utf8))
}
