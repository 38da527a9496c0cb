// Echo.cs - the echo server with .NET's Socket: a server of bench/b_socket.h

using System;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;

static class Echo
{
    public static int Run()
    {
        using var listener =
            new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(4096);
        Console.WriteLine($"port {((IPEndPoint)listener.LocalEndPoint!).Port} own 0");
        Accept(listener).GetAwaiter().GetResult();
        return 0;
    }

    private static async Task Accept(Socket listener)
    {
        for (;;) _ = Handle(await listener.AcceptAsync());
    }

    private static async Task Handle(Socket socket)
    {
        var buffer = new byte[128];
        try
        {
            int size;
            while ((size = await socket.ReceiveAsync(buffer.AsMemory(), SocketFlags.None)) > 0)
            {
                await socket.SendAsync(buffer.AsMemory(0, size), SocketFlags.None);
            }
        }
        catch (SocketException)
        {
        }
        socket.Dispose();
    }
}
