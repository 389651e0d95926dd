import Hummingbird
import NIOWebSocket
import Metrics
