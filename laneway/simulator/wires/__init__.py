"""The formats that the simulator speaks, one file each: what a request asks for, what answers and errors look like."""
