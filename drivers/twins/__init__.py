"""Software twins of devices, each on a pseudo-terminal; `TWINS` names them as a profile's ``device.port`` may."""

TWINS = {"twin": "drivers.twins.node", "node-avr": "drivers.twins.avr"}
