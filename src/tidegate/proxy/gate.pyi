from tidegate.auth.cache import Answer, Resumed
from tidegate.config.model import ProxyConfig
from tidegate.pool.client_limit import ClientLimit
from tidegate.proxy.login import ClientLogin
from tidegate.proxy.relay import Relay
from tidegate.proxy.target import Target
from tidegate.proxy.worker import Worker

class Gate:
    """One proxy of the configuration, in one worker."""

    @property
    def proxy(self) -> ProxyConfig: ...
    @property
    def target(self) -> Target: ...
    @property
    def limit(self) -> ClientLimit: ...
    @property
    def clients(self) -> dict[Relay, None]:
        """Every connection by which one may come, those included that have said nothing yet."""
    def __init__(self, worker: Worker, proxy: ProxyConfig, target: Target, limit: ClientLimit) -> None: ...
    def configure(self, proxy: ProxyConfig, target: Target, limit: ClientLimit) -> None: ...
    def role_read(self, login: ClientLogin, resumed: Resumed[ClientLogin]) -> None: ...
    def role_known(self, login: ClientLogin, answer: Answer) -> None: ...
